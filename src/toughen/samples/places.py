"""Owns sample backends whose requests compete for places: bookings of a guest, seats of an event."""

from __future__ import annotations

from toughen.specimens import FLASK, PLAIN

COUNTED = """    held = conn.execute("SELECT COUNT(*) FROM bookings WHERE guest = ?", (guest,)).fetchone()[0]
    if held >= 3:
        conn.close()
        return jsonify({"error": "three are enough"}), 409
    conn.execute("INSERT INTO bookings (guest, day) VALUES (?, ?)", (guest, str(data["day"])))
    conn.commit()
    conn.close()
"""
AT_ONCE = """    made = conn.execute("INSERT INTO bookings (guest, day) SELECT ?, ? WHERE (SELECT COUNT(*) FROM bookings WHERE guest = ?) < 3", (guest, str(data["day"]), guest)).rowcount
    conn.commit()
    conn.close()
    if not made:
        return jsonify({"error": "three are enough"}), 409
"""
THREE = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS bookings (id INTEGER PRIMARY KEY, guest TEXT, day TEXT)")

@app.route("/bookings", methods=["POST"])
def book():
    data = request.get_json()
    guest = str(data["guest"])
    if not guest:
        return jsonify({"error": "who are you"}), 400
    conn = get_db()
""" + COUNTED + """    return jsonify({"ok": True}), 201
"""
"""Three bookings for each guest, counted before one is added."""

EVENTS = FLASK + """
    start.execute("CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, title TEXT NOT NULL, seats INTEGER NOT NULL)")
    start.execute("CREATE TABLE IF NOT EXISTS guests (id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, user_id INTEGER NOT NULL, UNIQUE (event_id, user_id))")

@app.post("/events")
@login_required
def add_event():
    data = request.get_json()
    conn = db()
    new = conn.execute("INSERT INTO events (title, seats) VALUES (?, ?)", (str(data["title"]), int(data["seats"]))).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": new}), 201

@app.get("/events/<int:event_id>")
def event(event_id):
    conn = db()
    row = conn.execute("SELECT * FROM events WHERE id = ?", (event_id,)).fetchone()
    conn.close()
    return (jsonify(dict(row)), 200) if row else (jsonify({"error": "no such event"}), 404)

@app.post("/events/<int:event_id>/join")
@login_required
def join(event_id):
    conn = db()
    try:
        event = conn.execute("SELECT seats FROM events WHERE id = ?", (event_id,)).fetchone()
        if event is None:
            return jsonify({"error": "no such event"}), 404
        taken = conn.execute("SELECT COUNT(*) FROM guests WHERE event_id = ?", (event_id,)).fetchone()[0]
        if taken >= event["seats"]:
            return jsonify({"error": "no seat is left"}), 409
        conn.execute("INSERT INTO guests (event_id, user_id) VALUES (?, ?)", (event_id, session["user_id"]))
        conn.commit()
    except sqlite3.IntegrityError:
        return jsonify({"error": "you are in already"}), 409
    finally:
        conn.close()
    return jsonify({"ok": True}), 201
"""
"""As many guests as an event has seats, one of each user: counted before one is added."""
SEATED = EVENTS.replace("        event = conn.execute(", '        conn.execute("BEGIN IMMEDIATE")\n        event = conn.execute(')

PAIRED = EVENTS.replace('taken >= event["seats"]', "taken >= 2").replace("SELECT seats FROM", "SELECT id FROM")
"""Two guests for each event, whatever its row says: who wants the last place is the third user."""
PAIRED_SEATED = PAIRED.replace("        event = conn.execute(", '        conn.execute("BEGIN IMMEDIATE")\n        event = conn.execute(')
