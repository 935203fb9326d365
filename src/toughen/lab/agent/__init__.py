"""Owns what runs inside the prototype's interpreter: standard library only, Python 3.9 to 3.14, fails safe.

Started as ``python -m toughen_agent CONFIG.json`` (the lab copies this folder under that name and puts it on
PYTHONPATH). It imports nothing of toughen. It connects to the Unix socket that the config names and speaks
frames: four bytes of big-endian length, then UTF-8 JSON (bytes travel as base64 under keys that end in
``_b64``). Every process (the server and each child) opens a connection of its own and starts with a hello.

CONFIG.json
    socket       path of the lab's listening Unix socket
    root         absolute path of the project's throw-away copy (frames below it are "the user's own")
    sys_path     folders put in front of sys.path
    cwd          working directory
    entry        "module:attribute" or "module:function()"; null loads nothing
    mode         "fork" (server forks a child for each trial) or "whole" (this process serves itself, no fork: after
                 "ready" it takes a child's orders on the server's connection, or becomes the child that "fork" asks for)
    outbound     [host, port] of the fault server, or null
    allow        [[host, port]...] that are reached as they are (the prototype's database); may be missing
    postgres     {"socket": folder, "port", "user"} of the lab's server, or null: then nobody answers; may be missing
    mysql        {"socket": path, "user": the agent's, "app": the prototype's, "mariadb": bool} likewise
    body_limit   bytes of an answer's body that are kept (the rest is counted and dropped)

Server -> lab      {"hello": "server", "pid": int, "python": "3.11.7"}
                   {"ready": FACTS}  or  {"failed": {"stage": "import|entry|lifespan", "failure": FAILURE}}
lab -> server      {"do": "fork", "id": int, "gate": bool, "lines": bool}        -> child connects
                   {"do": "fork", "id": int, "settle": true}                     -> a settled process connects: it goes
                     through the lifespan's start-up and then forks children as the server does ("lifespan" of FACTS true)
                   {"do": "prepare", "step": "main_block" | "create_all"}        -> {"prepared": {...}}
                   {"do": "facts"}                                               -> {"ready": FACTS}
                   {"do": "import", "modules": [str...]}                         -> {"imported": int}
                     (what children import while they serve comes into the server before its next fork anyway)
                   {"do": "quit"}

Settled -> lab     {"hello": "settled", "id": int, "pid": int}, then {"ready": {"fork": "safe" | reason}} or {"failed": {...}}
Child -> lab       {"hello": "child", "id": int, "pid": int}, then after the lifespan's start-up
                   {"ready": {}} or {"failed": {...}}
lab -> child       {"do": "serve", "requests": [REQUEST...], "record": RECORD}   -> one EXCHANGE frame a request
                   {"do": "call", "function": "module:name", "arguments": [...], "keywords": {...}} -> {"returned": JSON} or {"failed": ...}
                   {"do": "clock", "seconds": float} -> {"shifted": float}: from now on this process reads another time
                   {"do": "loaded"} -> {"files": [str...]} of installed packages that are loaded, below site-packages
                   {"do": "rows"}   -> {"tables": {...}} of in-memory SQLite databases (null where there are none)
                   {"do": "quit"}   runs the lifespan's shutdown and exits

Gated child (fork with "gate": true), before each SQL statement while it serves:
    child -> lab   {"at": n, "statement": STATEMENT, "outgoing": [...] so far}   then waits
    lab -> child   {"go": null}            run this one, stop again at the next
                   {"go": k}               run until statement number k (0-based, counted within the request), stop there
                   {"go": -1}              run to the end of the request without stopping
                   with any of them "fail" (an SQLSTATE of PostgreSQL's, a number of MySQL's) and "times": the server answers this statement so, and so many more (0: all)
    child -> lab   {"blocked": n, "error": str}                 the statement waits for another's lock ("commits": true where it is a COMMIT); then waits
    lab -> child   {"retry": true}         try it again, {"retry": false}  raise the driver's own error to the app

REQUEST    {"method", "target" (path?query, percent-encoded), "headers": [[name, value]...], "body_b64"}
RECORD     {"sql": 0|1|2 (2 = with the user's frame and first rows), "demand": bool, "lines": bool, "markers": [str...]}
EXCHANGE   {"status": int|null, "headers": [[..]], "body_b64", "size", "statements": [STATEMENT...], "failure": FAILURE|null,
            "handled": [FAILURE...], "demands": [...], "sightings": [...], "lines": [[file, [int...]]...], "last_line": PLACE|null,
            "outgoing": [...], "written_files": [...], "milliseconds": float}
STATEMENT  {"text", "parameters": [...], "rows": int|null, "sample": [{...}], "place": PLACE|null, "error": str|null}
           What is empty or null is left out of both, but for "status", "headers", "size", "milliseconds", "text",
           "parameters" and "rows".
           Optional keys. EXCHANGE: "imported" (modules of others that came in), "databases" (newly opened),
             "folders" (of the project, in which files were opened or which were listed; relative to root),
             "statements_dropped" (how many beyond the limit). STATEMENT: "names" (of named parameters, whose values
             come in order of appearance), "many" (sets of an executemany; "parameters" then holds the first sets).
             REQUEST: "packed_b64" (instead of "body_b64": zlib, unpacked in pieces while it is read), "inside".
             RECORD: "memory" (EXCHANGE then has "grown": bytes by which the process was larger at its largest than before).
             RECORD: "patience" (seconds that what goes on behind the answer has to come to its end), "dies" (the process ends as soon
             as the client has its answer), "cut" (number of the connection to the world outside before which it ends; EXCHANGE then has
             "fallen": true). EXCHANGE: "answered_after" (how many statements there were when it had it, if more came).
             RECORD: "told" (EXCHANGE then has "told": {"written": what came out on standard output and error, "records": [{"level": int,
             "logger", "message", "own": bool}...] of logging, "files": [[path, what an open text file got]...], "raised": bool: an
             exception came out of the app, which its server writes out}).
             RECORD: "fault" {"kind", "at", "times", "host"}: what goes wrong outside (KINDS of fault_server, "refused",
             "unknown-host"; "disk-full", "unwritable" for files; "down": every database is gone; "raise": the handler raises) at the connection of that number, and so many times (0: from
             there on). EXCHANGE: "waited" (seconds that it waited in vain, by its own clock). Before an EXCHANGE that never
             comes, because the request waits for ever or longer than a worker may: {"stuck": seconds that it waited}.
             demands: {"place", "key": [...], "present", "required", "default", "how": subscript|get|in|iterate|unpack,
             "type"?}; key [] with how iterate: all keys were taken. sightings: {"event", "text", "place", "marker"}.
             EXCHANGE: "early" (like "outgoing": what the start-up of its process opened before it, told once).
             outgoing: {"host", "port", "request", "place", "local_port"?: joins it with the fault server's peer,
             "mail"?: text, "after": how many statements came before}. A dependency: "values" (strings that it was made with: `RoleChecker(["admin"])`).
             FACTS: "failed" (parts that could not be read).
PLACE      [file relative to root, line, function qualified name or name]
FAILURE    {"type", "message", "place": PLACE|null, "traceback"}
FACTS      {"framework", "routes": [ROUTE...], "openapi": {...}|null, "specs": [paths that serve one], "tables": [TABLE...], "databases": [{"driver", "path"}...],
            "threads": [name...], "modules": [...], "fork": "safe" | reason, "lifespan": bool}
ROUTE      {"methods": [...], "path": template in braces, "name", "file" (absolute), "line", "function", "in_schema": bool,
            "converters": {parameter: "int"|"float"|"path"|"uuid"|"string"},
            "dependencies": [{"name", "file", "line", "scopes": [...], "kind": "dependency"|"scheme"}...]}
TABLE      {"name", "model", "file", "line", "columns": [{"name", "type", "nullable", "primary_key", "unique", "references": [t, c]|null,
            "enum": [...], "max_length", "has_default"}...], "uniques": [[...]...]}
"""
