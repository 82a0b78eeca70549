# What the scripts for Python share. They run with the port of the WebSocket listener and the port of lines as arguments.
#
# A script prints a line and reads one where the test acts on the server, and prints `good` at its end.

import asyncio, sys, time
import centrifuge, jwt

web_port, line_port = (int(port) for port in sys.argv[1:3])
SECRET = "0123456789abcdef0123456789abcdef"

def now():
    return int(time.time())

def token(secret=SECRET, **claims):
    return jwt.encode(claims, secret, algorithm="HS256")

# Lets the test act on the server.
async def ask(words):
    print(words, flush=True)
    assert await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline) == "go\n"

# The events of a client or a subscription, in order.
class Events:
    def __init__(self):
        self.seen = []
        self.changed = asyncio.Event()

    def __getattr__(self, name):
        if not name.startswith("on_"):
            raise AttributeError(name)
        async def seen(context):
            self.seen.append((name[3:], context))
            self.changed.set()
        return seen

    # Returns the first event of this name that was not returned yet, and skips those before it.
    async def next(self, name, matches=lambda context: True):
        async def found():
            while True:
                for index, (seen, context) in enumerate(self.seen):
                    if seen == name and matches(context):
                        del self.seen[:index + 1]
                        return context
                self.changed.clear()
                await self.changed.wait()
        try:
            return await asyncio.wait_for(found(), 20)
        except asyncio.TimeoutError:
            raise AssertionError(f"expected {name}, found {self.seen}") from None

# Creates a client. It reconnects soon, and misses the pings of the server soon.
def client(port=web_port, **options):
    events = Events()
    url = f"ws://127.0.0.1:{port}/connection/websocket"
    soon = dict(min_reconnect_delay=0.02, max_reconnect_delay=0.2, max_server_ping_delay=1.5)
    created = centrifuge.Client(url, events=events, proxy=None, **soon, **options)
    created.events = events
    return created

# Creates a subscription, and subscribes.
async def subscribe(client, channel, **options):
    events = Events()
    soon = dict(min_resubscribe_delay=0.02, max_resubscribe_delay=0.2)
    created = client.new_subscription(channel, events=events, **soon, **options)
    created.events = events
    await created.subscribe()
    return created

# Asserts that something fails with an error of this code.
async def fails(awaitable, code):
    try:
        result = await awaitable
    except centrifuge.ReplyError as error:
        assert error.code == code, f"expected {code}, found {error}"
    else:
        raise AssertionError(f"expected error {code}, found {result}")

def same(found, expected):
    assert found == expected, f"expected {expected}, found {found}"

# A network between clients and the server, which can be cut.
class Network:
    async def open(self):
        self.is_cut, self.writers, self.tasks = False, set(), set()
        def accepted(reader, writer):
            self.tasks.add(asyncio.create_task(self.pass_on(reader, writer)))
        self.server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def pass_on(self, reader, writer):
        if self.is_cut:
            return writer.transport.abort()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", web_port)
        except OSError:
            return writer.transport.abort()
        self.writers |= {writer, far_writer}
        async def one_way(reader, writer):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
            except OSError:
                pass
            writer.transport.abort()
        await asyncio.gather(one_way(reader, far_writer), one_way(far_reader, writer))

    def cut(self):
        self.is_cut = True
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    def mend(self):
        self.is_cut = False

    def close(self):
        self.server.close()
        self.cut()

# Runs a scenario, which has this many seconds.
def run(scenario, seconds=170):
    asyncio.run(asyncio.wait_for(scenario(), seconds))
    print("good", flush=True)
