# Runs the guide for backends (docs/pubsub-guide.md): its files, in a browser.
#
# It starts the server itself, so the ports among the arguments are 0. The third argument is the path of the program.
# It takes about 20 s, and longer on a busy machine.
# What is not installed is left out, with a line that begins with `skip: `. `DRUPE_TEST_NODE_MODULES` is the directory of
# Node's packages, `DRUPE_TEST_BROWSER` the browser, and `DRUPE_TEST_DJANGO` a Python that has Django, PyJWT and cent.

import asyncio, contextlib, importlib.util, json, os, re, shutil, socket, sys, tempfile, urllib.error, urllib.request
from pathlib import Path
from playwright.async_api import async_playwright, expect
import harness
from harness import Network, same

HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "docs" / "pubsub-guide.md"
PROGRAM = str(Path(sys.argv[3]).resolve())
MODULES = os.environ.get("DRUPE_TEST_NODE_MODULES", HERE.parents[2] / "target" / "clients" / "node_modules")
BROWSER = os.environ.get("DRUPE_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
DJANGO = os.environ.get("DRUPE_TEST_DJANGO", sys.executable)

def skip(why):
    print(f"skip: {why}", flush=True)

# The files of the page, by their names.
def blocks():
    files = {}
    for body in re.findall(r"^```\w+\n(.*?)^```$", GUIDE.read_text(), re.M | re.S):
        if named := re.match(r"(?:#|//|<!--) ([\w.]+)(?: -->)?\n", body):
            files[named[1]] = files.get(named[1], "") + body
    return files

def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]

# Calls the server, and returns the status and the body.
async def call(url, body=None, **header):
    def wait():
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in header.items()})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
    return await asyncio.to_thread(wait)

# A folder with the files, and the processes that run there.
class Folder:
    def __init__(self, path, stack):
        self.path, self.stack, self.env = Path(path), stack, os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        # What the processes say is shown if something fails.
        self.log = stack.enter_context(open(self.path / "log", "wb"))
        (self.path / "node_modules").symlink_to(Path(MODULES).resolve())
        self.files = blocks()
        self.write(self.files)

    def write(self, files, *changes):
        for name, text in files.items():
            for old, new in changes:
                text = text.replace(old, new)
            (self.path / name).write_text(text)

    # Runs a command to its end. Returns what it prints, or `None` if it fails.
    async def run(self, *command, env={}):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.path, env=self.env | env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, self.errors = await process.communicate()
        return out.decode().strip() if process.returncode == 0 else None

    # Starts a process, and returns it and the first lines that it prints.
    async def start(self, *command, lines=1, env={}):
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.path, env=self.env | env, stdout=asyncio.subprocess.PIPE, stderr=self.log)
        self.stack.push_async_callback(self.stop, process)
        return process, [(await process.stdout.readline()).decode().strip() for _ in range(lines)]

    async def stop(self, process):
        if process.returncode is None:
            process.terminate()
            await process.wait()

class Guide:
    def __init__(self, folder):
        self.folder, self.web, self.inside, self.drupe = folder, 0, 0, None

    # Starts the server, again on the same ports, with one more file of the page.
    async def serve(self, *more):
        if self.drupe:
            # Its clients do not learn of it before it is gone.
            self.drupe.kill()
            await self.drupe.wait()
        arguments = [argument for name in ("drupe.yaml", *more) for argument in ("--config", name)]
        drupe = {"drupe.yaml": self.folder.files["drupe.yaml"]}
        ports = [(":8025", f":{self.web}"), (":8026", f":{self.inside}")]
        self.folder.write(drupe, *ports, ("http://127.0.0.1:3000", self.site))
        checked = ["check", *("drupe.yaml", *more)]
        same(await self.folder.run(PROGRAM, *checked, "--strict"), "the configuration is valid")
        self.drupe, lines = await self.folder.start(PROGRAM, *arguments, lines=2)
        # In the order of their names.
        self.inside, self.web = (int(re.match(r"listening on ws://127.0.0.1:(\d+)/", line)[1]) for line in lines)
        harness.web_port = self.web

    async def begin(self, browser):
        folder = self.folder
        for script in ("setup.sh", "hooks.sh"):
            same(await folder.run("sh", script), "")
        secrets = {"TOKEN_SECRET": "token.secret", "API_KEY": "api.key", "HOOKS_SECRET": "hooks.secret"}
        folder.env |= {name: (folder.path / file).read_text().strip() for name, file in secrets.items()}
        self.network = Network()
        await self.network.open()
        folder.stack.callback(self.network.close)
        self.page_with(f":{self.network.port}/")
        folder.write({"server.mjs": folder.files["server.mjs"]}, ("listen(3000", "listen(0"))
        _, [self.site] = await folder.start("node", "server.mjs")
        await self.serve()
        # These call the server.
        self.callers = {name: folder.files[name] for name in ("notifications.mjs", "notifications.py", "notifications.rb", "publish.sh")}
        folder.write(self.callers, (":8026", f":{self.inside}"))
        self.context = await browser.new_context()
        self.page = await self.context.new_page()
        self.problems = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.texts, self.ways = [], {
            "curl": ["sh", "publish.sh"],
            "Node": ["node", "--input-type=module", "-e", "await (await import('./notifications.mjs')).notify(42, {text: 'TEXT'})"],
        }
        if shutil.which("ruby") and await folder.run("ruby", "-rjwt", "-e", "") is not None:
            self.ways["Ruby"] = ["ruby", "-r./notifications", "-e", "Notifications.notify(42, {text: 'TEXT'})"]
        else:
            skip("there is no Ruby with the gem jwt")
        # They take a while to start.
        self.frameworks = asyncio.create_task(self.start_frameworks())

    # Writes the page as a client sees it that connects to this port and path.
    def page_with(self, end, *changes):
        self.folder.write({"index.html": self.folder.files["index.html"]}, (":8025/", end), *changes)

    async def state_is(self, words):
        await expect(self.page.locator("#state")).to_have_text(words, timeout=20000)

    # Opens the page, which then has no notifications.
    async def open(self, url=None, state="connected"):
        await self.page.goto(url or self.site)
        await self.state_is(state)
        self.texts = []
        same(await self.page.locator("#list li").count(), 0)

    # Publishes in a way, or in each.
    async def publish(self, *ways):
        for way in ways or [*self.ways, "Python"]:
            text = f"from {way}"
            self.texts.append(text)
            if way == "Python":
                await asyncio.to_thread(self.python().notify, 42, {"text": text})
                continue
            result = await self.folder.run(*(word.replace("TEXT", text) for word in self.ways[way]))
            assert result is not None, f"{way}: {self.folder.errors.decode()}"

    # The module of the page for Python, as it is now.
    def python(self, **env):
        os.environ.update({name: self.folder.env[name] for name in ("TOKEN_SECRET", "API_KEY")} | env)
        spec = importlib.util.spec_from_file_location("notifications", self.folder.path / "notifications.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    # Whether publishing fails in Python, and how.
    async def python_fails(self, kind, **env):
        try:
            await asyncio.to_thread(self.python(**env).notify, 42, {})
        except Exception as error:
            same(type(error).__name__, kind)
        else:
            raise AssertionError(f"{kind} was expected")

    async def shows(self):
        await expect(self.page.locator("#list li")).to_have_text(self.texts, timeout=20000)

    async def notifications_appear(self):
        await self.open()
        await self.publish()
        await self.shows()

    async def missed_notifications_appear(self):
        self.network.cut()
        await self.state_is("connecting")
        seen = len(self.texts)
        await self.publish()
        same(await self.page.locator("#list li").count(), seen)
        self.network.mend()
        # A browser says that there is a network again.
        await self.page.evaluate("dispatchEvent(new Event('online'))")
        await self.shows()
        await self.state_is("connected")

    # A failed call is no success, in whatever way.
    async def errors_are_seen(self):
        for way, words in self.ways.items():
            same(await self.folder.run(*words, env={"API_KEY": "wrong"}), None)
        await self.python_fails("CentUnauthorizedError", API_KEY="wrong")
        self.folder.write(self.callers, (":8026", f":{self.inside}"), ("notifications:", "unknown:"))
        for way, words in self.ways.items():
            result = await self.folder.run(*words)
            same(result and json.loads(result)["error"]["code"], 102 if way == "curl" else None)
        await self.python_fails("CentApiResponseError")
        self.folder.write(self.callers, (":8026", f":{self.inside}"))

    async def api(self, method, body):
        status, text = await call(f"http://127.0.0.1:{self.inside}/api/{method}", body, X_API_Key=self.folder.env["API_KEY"])
        same(status, 200)
        return json.loads(text)["result"]

    async def calls_can_be_repeated(self):
        body = {"channel": "notifications:42", "data": {"text": "once"}, "idempotency_key": "order-7"}
        same(await self.api("publish", body), await self.api("publish", body))
        self.texts.append("once")
        await self.publish("curl")
        await self.shows()

    # Clients have what their token gives, and no more.
    async def clients_may_do_nothing_else(self):
        code = await self.page.evaluate("""() => new Promise((resolve) => {
            const other = client.newSubscription("notifications:43");
            other.on("unsubscribed", ({ code }) => resolve(code));
            other.subscribe();
        })""")
        same(code, 103)
        same(await self.page.evaluate("client.publish('notifications:42', {}).catch(({ code }) => code)"), 103)
        code = await self.page.evaluate("""(url) => new Promise((resolve) => {
            const nameless = new Centrifuge(url);
            nameless.on("disconnected", ({ code }) => resolve(code));
            nameless.connect();
        })""", f"ws://127.0.0.1:{self.web}/connection/websocket")
        same(code, 3501)
        same([await self.upgrade(origin) for origin in (self.site, "http://example.com")], [101, 403])

    # Asks for a WebSocket, as a page of this origin does. Returns the status.
    async def upgrade(self, origin):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.web)
        header = {"Host": f"127.0.0.1:{self.web}", "Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
        lines = ["GET /connection/websocket HTTP/1.1", *(f"{name}: {value}" for name, value in header.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status = int((await reader.readline()).split()[1])
        writer.transport.abort()
        return status

    # Gives the page this token, or this status.
    @contextlib.asynccontextmanager
    async def token(self, get):
        async def fulfill(route):
            status, token = await get()
            await route.fulfill(status=status, json={"token": token})
        await self.page.route("**/token", fulfill)
        yield
        # The page may be asking for the next one.
        await self.page.unroute_all(behavior="ignoreErrors")

    async def token_works(self, token):
        async def get():
            return 200, token
        async with self.token(get):
            await self.open()
            await self.publish("curl")
            await self.shows()

    async def tokens_work(self):
        await self.token_works(self.python().token_for(42))
        if "Ruby" in self.ways:
            await self.token_works(await self.folder.run("ruby", "-r./notifications", "-e", "puts Notifications.token_for(42)"))
        # A backend that fails is asked again.
        answers = [(500, ""), (200, self.python().token_for(42))]
        async def fails_once():
            return answers.pop(0)
        async with self.token(fails_once):
            await self.open()
            same(answers, [])
        async def refused():
            return 401, ""
        async with self.token(refused):
            await self.open(state="disconnected: unauthorized")

    async def token_is_renewed(self):
        folder, asked, states = self.folder, asyncio.Queue(), []
        folder.write({"short.mjs": folder.files["notifications.mjs"]}, ("+ 600", "+ 2"))
        async def get():
            asked.put_nowait(None)
            command = "console.log((await import('./short.mjs')).tokenFor(42))"
            return 200, await folder.run("node", "--input-type=module", "-e", command)
        async with self.token(get):
            await self.open()
            for _ in range(2):
                await asyncio.wait_for(asked.get(), 20)
            await self.publish("curl")
            await self.shows()
            await self.state_is("connected")

    # Returns the address and the session of the Django site, and the token of the Rails application.
    async def start_frameworks(self):
        folder, django, rails = self.folder, None, None
        if not shutil.which(DJANGO) or await folder.run(DJANGO, "-c", "import cent, django, jwt") is None:
            skip("there is no Django")
        else:
            package = folder.path / "site42"
            package.mkdir()
            for name in ("views.py", "notifications.py"):
                shutil.copy(folder.path / name, package)
            _, [line] = await folder.start(DJANGO, str(HERE / "guide_django.py"), env={"PYTHONPATH": str(folder.path)})
            django = line.split()
        if "Ruby" not in self.ways or await folder.run("ruby", "-e", "require 'action_controller/railtie'") is None:
            skip("there is no Rails")
        else:
            rails = await folder.run("ruby", str(HERE / "guide_rails.rb"))
            assert rails, folder.errors.decode()
        return django, rails

    async def frameworks_give_tokens(self):
        django, rails = await self.frameworks
        if django:
            url, session = f"http://127.0.0.1:{django[0]}/token", django[1]
            same((await call(url))[0], 401)
            status, text = await call(url, Cookie=f"sessionid={session}")
            same(status, 200)
            await self.token_works(json.loads(text)["token"])
        if rails:
            await self.token_works(rails)

    async def lost_history_is_shown(self):
        await self.open()
        await self.serve()
        await self.state_is("Notifications may be missing. Reload the page.")

    async def users_are_sent_away(self):
        await self.open()
        same((await self.api("disconnect", {"user": "42"}))["connections"], 1)
        await expect(self.page.locator("#state")).to_contain_text("disconnected: ", timeout=20000)

    async def operators_watch(self):
        for port, paths in ((self.inside, {"readyz": 200, "metrics": 200}), (self.web, {"readyz": 200, "api/info": 404, "": 404})):
            for path, status in paths.items():
                same((await call(f"http://127.0.0.1:{port}/{path}"))[0], status)
        _, text = await call(f"http://127.0.0.1:{self.inside}/metrics")
        for name in re.findall(r"`(drupe_\w+)`", GUIDE.read_text()):
            assert name in text, name

    async def nginx_forwards(self):
        folder, port = self.folder, free_port()
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if not nginx:
            return skip("there is no nginx")
        folder.write({"nginx.yaml": folder.files["nginx.yaml"]}, ("example.org", f"127.0.0.1:{port}"))
        await self.serve("nginx.yaml")
        folder.write({"nginx.conf": folder.files["nginx.conf"]}, (":8025", f":{self.web}"))
        temporary = " ".join(f"{name}_temp_path temporary;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder.path / "all.conf").write_text(f"""
            daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}}
            http {{ access_log off; {temporary} server {{
                listen 127.0.0.1:{port};
                location / {{ proxy_pass {self.site}; }}
                include {folder.path}/nginx.conf;
            }} }}""")
        process, _ = await folder.start(nginx, "-p", str(folder.path), "-c", "all.conf", lines=0)
        self.page_with(f":{port}/")
        while True:
            try:
                await call(f"http://127.0.0.1:{port}/")
                break
            except urllib.error.URLError:
                assert process.returncode is None, "nginx has ended"
                await asyncio.sleep(0.02)
        await self.open(f"http://127.0.0.1:{port}/")
        await self.publish("curl")
        await self.shows()
        # What else there is stays inside, and pages of other sites outside.
        same([(await call(f"http://127.0.0.1:{port}/{path}"))[0] for path in ("metrics", "api/info")], [404, 404])
        self.page_with(f":{port}/")
        await self.page.goto(self.site)
        await self.state_is("connecting")
        same((await call(f"http://127.0.0.1:{self.web}/metrics", Host=f"127.0.0.1:{port}"))[0], 404)

    async def cookies_are_enough(self):
        folder = self.folder
        folder.write({"hooks.mjs": folder.files["hooks.mjs"]}, ("listen(3001", "listen(0"))
        _, [hooks] = await folder.start("node", "hooks.mjs")
        same((await call(f"{hooks}/hooks/connect", {}))[0], 403)
        folder.write({"hooks.yaml": folder.files["hooks.yaml"]}, (":3001", hooks.removeprefix("http://127.0.0.1")))
        await self.serve("hooks.yaml")
        self.page_with(f":{self.network.port}/", (", { getToken }", ""))
        await self.open(state="disconnected: not logged in")
        await self.context.add_cookies([{"name": "session", "value": "of-42", "url": self.site}])
        await self.open()
        await self.publish("curl")
        await self.shows()

async def main():
    async with contextlib.AsyncExitStack() as stack:
        path = stack.enter_context(tempfile.TemporaryDirectory(prefix="drupe-guide-"))
        guide = Guide(Folder(path, stack))
        stack.push(lambda kind, *_: kind and print((guide.folder.path / "log").read_text(), file=sys.stderr))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        stack.push_async_callback(browser.close)
        await guide.begin(browser)
        await guide.notifications_appear()
        await guide.missed_notifications_appear()
        await guide.errors_are_seen()
        await guide.calls_can_be_repeated()
        await guide.clients_may_do_nothing_else()
        await guide.tokens_work()
        await guide.token_is_renewed()
        await guide.frameworks_give_tokens()
        await guide.operators_watch()
        await guide.users_are_sent_away()
        await guide.lost_history_is_shown()
        await guide.cookies_are_enough()
        await guide.nginx_forwards()
        same(guide.problems, [])

harness.run(main, 240)
