"""Reads what the proxy forwards of generated heads with h11, which shares no code with it.

For development only; `make differential [HEADS=1000000] [SEED=0]` runs it. It needs the package h11:

    python3 -m pip install h11        # in a virtual environment, say: python3 -m venv .venv

Each forwarded head must be one request to h11: with the same method, target and framing, complete, and with nothing left over.
A difference is printed with its bytes, and makes the exit code 1.

usage: h11_judge.py GENERATOR SEED HEADS
"""

import struct
import subprocess
import sys

import h11

# Differences that are printed.
MOST_SHOWN = 20


def parts(stream):
    """The records of the generator: method, target, framing and head."""
    while True:
        record = []
        for _ in range(4):
            length = stream.read(4)
            if len(length) != 4:
                sys.exit("the generator stopped in the middle of its output")
            record.append(stream.read(struct.unpack(">I", length)[0]))
        yield record
        if not record[3]:
            return


def framing_of(request):
    """How long h11 takes the body to be."""
    fields = {}
    for name, value in request.headers:
        fields.setdefault(bytes(name), []).append(bytes(value))
    if b"transfer-encoding" in fields:
        return b"chunked"
    length = int(fields.get(b"content-length", [b"0"])[0])
    return b"length %d" % length if length else b"none"


# A body as it would follow, by framing, and whether h11 then has the whole message.
CHUNKED_BODY = b"5\r\nhello\r\n0\r\n\r\n"
# Longer bodies are not made up.
MOST_BODY = 1000


def difference(method, target, framing, head):
    """What h11 reads otherwise, or None."""
    connection = h11.Connection(h11.SERVER)
    body = b""
    if framing == b"chunked":
        body = CHUNKED_BODY
    elif framing.startswith(b"length "):
        length = int(framing.split()[1])
        body = b"x" * length if length <= MOST_BODY else b"x"
    # What stands behind the body is another's request.
    connection.receive_data(head + body + b"NEXT")
    try:
        request = connection.next_event()
        if not isinstance(request, h11.Request):
            return "no request: %r" % request
        if (request.method, request.target) != (method, target):
            return "another request: %r %r" % (request.method, request.target)
        if request.http_version != b"1.1":
            return "another version: %r" % request.http_version
        found = framing_of(request)
        if found != framing:
            return "another framing: %r" % found
        data = 0
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                data += len(event.data)
            elif event is h11.NEED_DATA and framing.startswith(b"length ") and length > MOST_BODY:
                # All that came is its body's.
                return None if data == len(body) + 4 else "%d bytes of its body" % data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return "its body does not end: %r" % event
        rest = connection.trailing_data[0]
        return None if rest == b"NEXT" else "behind it: %r" % rest
    except h11.RemoteProtocolError as error:
        return "refused: %s" % error


def main():
    generator, seed, heads = sys.argv[1], sys.argv[2], sys.argv[3]
    process = subprocess.Popen([generator, seed, heads], stdout=subprocess.PIPE)
    accepted = refused = differences = 0
    framings, kinds = {}, {}
    for method, target, framing, head in parts(process.stdout):
        if not head:
            refused = int(framing)
            break
        accepted += 1
        kind = framing.split()[0].decode()
        framings[kind] = framings.get(kind, 0) + 1
        what = difference(method, target, framing, head)
        if what is None:
            continue
        differences += 1
        sort = what.split(":")[0] + ":" + what.split(":")[1][:40]
        kinds[sort] = kinds.get(sort, 0) + 1
        if differences <= MOST_SHOWN:
            print("%s\n  expected %r %r %r\n  of %r" % (what, method, target, framing, head))
    if process.wait() != 0:
        sys.exit("the generator failed")
    told = ", ".join("%d %s" % (count, kind) for kind, count in sorted(framings.items()))
    print("%d heads generated (seed %s): %d forwarded (%s), %d refused" % (accepted + refused, seed, accepted, told, refused))
    for sort, count in sorted(kinds.items(), key=lambda pair: -pair[1]):
        print("  %d times %s" % (count, sort))
    print("h11 %s reads %d of %d otherwise" % (h11.__version__, differences, accepted))
    sys.exit(differences > 0)


if __name__ == "__main__":
    main()
