"""A small service over SQLite. Version 1 has one column for a name, version 2 two; what they say is the same.

    store.py 1|2 FILE [own]

GET, PUT and DELETE /people/ID, where a person is {"name": "Ada Lovelace"}; GET /people lists all. With `own`, version 2 shows
{"first": "Ada", "last": "Lovelace"}, and takes what version 1 says all the same. A write that comes a second
time with the same Idempotency-Key is answered as the first time and not carried out again. Prints `port N` when it listens.
"""

import json
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION, FILE = sys.argv[1], sys.argv[2]
OWN = sys.argv[3:] == ["own"]
TABLE = {
    "1": "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT NOT NULL)",
    "2": "CREATE TABLE people (id TEXT PRIMARY KEY, first TEXT NOT NULL, last TEXT NOT NULL)",
}

database = sqlite3.connect(FILE, check_same_thread=False, isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=NORMAL")
database.execute(TABLE[VERSION])
database.execute("CREATE TABLE done (key TEXT PRIMARY KEY, status INTEGER NOT NULL)")
lock = threading.Lock()


def columns(name):
    if VERSION == "1":
        return (name,)
    first, _, last = name.partition(" ")
    return (first, last)


def person(row):
    if OWN:
        return dict(zip(("name",) if VERSION == "1" else ("first", "last"), row))
    return {"name": " ".join(row)}


def everybody():
    names = "name" if VERSION == "1" else "first, last"
    return database.execute(f"SELECT id, {names} FROM people ORDER BY id")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        with lock:
            if self.path == "/people":
                return self.answer(200, {row[0]: person(row[1:]) for row in everybody()})
            found = [row for row in everybody() if row[0] == self.path.removeprefix("/people/")]
        return self.answer(200, person(found[0][1:])) if found else self.answer(404, {})

    def write(self, carry_out):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        key = self.headers.get("idempotency-key", "")
        with lock:
            done = database.execute("SELECT status FROM done WHERE key = ?", (key,)).fetchone()
            if done is None or not key:
                database.execute("BEGIN")
                status = carry_out(self.path.removeprefix("/people/"), body)
                if key:
                    database.execute("INSERT INTO done VALUES (?, ?)", (key, status))
                database.execute("COMMIT")
                done = (status,)
        self.answer(done[0], {})

    def do_PUT(self):
        def put(who, body):
            values = (who, *columns(json.loads(body)["name"]))
            marks = ", ".join("?" for _ in values)
            database.execute(f"INSERT OR REPLACE INTO people VALUES ({marks})", values)
            return 200

        self.write(put)

    def do_DELETE(self):
        def delete(who, _):
            database.execute("DELETE FROM people WHERE id = ?", (who,))
            return 200

        self.write(delete)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print("port", server.server_port, flush=True)
server.serve_forever()
