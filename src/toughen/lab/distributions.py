"""Owns what is known about packages: which distribution brings which import, and pairs that do not work together."""

from __future__ import annotations

_DISTRIBUTIONS = {
    "argon2": "argon2-cffi",
    "PIL": "Pillow", "attr": "attrs", "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil": "python-dateutil",
    "decouple": "python-decouple", "docx": "python-docx", "dotenv": "python-dotenv", "fastapi_mail": "fastapi-mail",
    "flask_bcrypt": "Flask-Bcrypt", "flask_cors": "flask-cors", "flask_jwt_extended": "Flask-JWT-Extended",
    "flask_limiter": "Flask-Limiter", "flask_login": "Flask-Login", "flask_mail": "Flask-Mail", "flask_marshmallow": "flask-marshmallow",
    "flask_migrate": "Flask-Migrate", "flask_restful": "Flask-RESTful", "flask_restx": "flask-restx", "flask_session": "Flask-Session",
    "flask_socketio": "Flask-SocketIO", "flask_sqlalchemy": "Flask-SQLAlchemy", "flask_wtf": "Flask-WTF", "fitz": "PyMuPDF",
    "google": "google-api-python-client", "jose": "python-jose[cryptography]", "jwt": "PyJWT", "magic": "python-magic",
    "multipart": "python-multipart", "MySQLdb": "mysqlclient", "mysql": "mysql-connector-python", "flask_mysqldb": "Flask-MySQLdb", "flaskext": "Flask-MySQL", "nacl": "PyNaCl", "OpenSSL": "pyOpenSSL", "passlib": "passlib[bcrypt]",
    "psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "pydantic_settings": "pydantic-settings", "serial": "pyserial",
    "sklearn": "scikit-learn", "slugify": "python-slugify", "socketio": "python-socketio", "telegram": "python-telegram-bot",
    "uvicorn": "uvicorn", "yaml": "PyYAML", "zmq": "pyzmq", "connexion": "connexion[flask,swagger-ui,uvicorn]", "pkg_resources": "setuptools<81",
    "ulid": "python-ulid", "Crypto": "pycryptodome", "Cryptodome": "pycryptodomex", "werkzeug": "Werkzeug", "flask": "Flask",
    "pdfminer": "pdfminer.six", "pptx": "python-pptx", "skimage": "scikit-image", "ldap": "python-ldap", "gi": "PyGObject",
    "github": "PyGithub", "gitlab": "python-gitlab", "git": "GitPython", "discord": "discord.py", "barcode": "python-barcode",
    "flask_security": "Flask-Security-Too",
    "apscheduler": "APScheduler<4",
    "bson": "pymongo", "gridfs": "pymongo",
    "stdnum": "python-stdnum", "usb": "pyusb", "win32com": "pywin32", "Levenshtein": "python-Levenshtein",
    "dns": "dnspython", "whois": "python-whois", "nmap": "python-nmap", "speech_recognition": "SpeechRecognition",
    "umap": "umap-learn",
    "faiss": "faiss-cpu", "tortoise": "tortoise-orm", "tavily": "tavily-python", "qrcode": "qrcode[pil]",
    "onelogin": "python3-saml", "saml2": "pysaml2", "rest_framework": "djangorestframework", "corsheaders": "django-cors-headers",
    "environ": "django-environ", "allauth": "django-allauth", "import_export": "django-import-export",
    "rest_framework_simplejwt": "djangorestframework-simplejwt", "rest_framework_nested": "drf-nested-routers", "django_filters": "django-filter",
    "crispy_forms": "django-crispy-forms", "crispy_bootstrap4": "crispy-bootstrap4", "crispy_bootstrap5": "crispy-bootstrap5", "debug_toolbar": "django-debug-toolbar",
    "phonenumber_field": "django-phonenumber-field[phonenumbers]", "rest_framework_swagger": "django-rest-swagger", "drf_yasg": "drf-yasg", "drf_spectacular": "drf-spectacular",
    "jazzmin": "django-jazzmin", "taggit": "django-taggit", "knox": "django-rest-knox", "dj_database_url": "dj-database-url", "dj_rest_auth": "dj-rest-auth",
    "storages": "django-storages", "widget_tweaks": "django-widget-tweaks", "ckeditor": "django-ckeditor", "mptt": "django-mptt", "cloudinary_storage": "django-cloudinary-storage",
    "django_extensions": "django-extensions", "guardian": "django-guardian", "simple_history": "django-simple-history", "bootstrap4": "django-bootstrap4", "bootstrap5": "django-bootstrap5",
    "memcache": "python-memcached", "snappy": "python-snappy", "lzo": "python-lzo",
    "engineio": "python-engineio", "socks": "PySocks", "websocket": "websocket-client",
    "factory": "factory-boy", "faker": "Faker", "model_bakery": "model-bakery", "pytest_django": "pytest-django", "pytest_asyncio": "pytest-asyncio",
    "dotenv_vault": "python-dotenv-vault",
}
"""Imports whose distribution has another name."""

COMPANIONS = {
    "passlib": ("bcrypt<4.1", "passlib 1.7.4, the last one, cannot use later versions (github.com/pyca/bcrypt/issues/684)"),
}
"""Unpinned pairs that do not work together in their newest versions: (import or package) -> (constraint, why)."""


def distribution_of(name: str) -> str:
    """The distribution to install for a top-level import."""
    return _DISTRIBUTIONS.get(name, name.replace("_", "-"))


def supported(version: str) -> bool:
    """Whether the agent runs under that Python (`3.11`)."""
    major, _, minor = version.partition(".")
    return major == "3" and minor.isdigit() and int(minor) >= 9  # noqa: PLR2004
