import base64


def rows(page):
    return page.eval_on_selector_all(
        "#sessions tr:not([hidden])", "all => all.map((row) => row.querySelector('[data-column=name]').textContent)")


def wait_rows(page, names):
    page.wait_for_function(
        """names => [...document.querySelectorAll('#sessions tr:not([hidden])')]
            .map((row) => row.querySelector('[data-column=name]').textContent).join() === names.join()""", arg=names)


def filter_and_sort(chromium, url):
    page = open_monitor(chromium, url)
    page.wait_for_function("() => document.querySelectorAll('#sessions tr').length === 3")
    # Only with the keyboard. Enter on a heading sorts by it, and once more in the other direction.
    page.focus("[data-sort=name]")
    page.keyboard.press("Enter")
    wait_rows(page, ["ann", "bob", "zoe"])
    page.keyboard.press("Enter")
    wait_rows(page, ["zoe", "bob", "ann"])
    assert page.get_attribute("#columns [data-column=name]", "aria-sort") == "descending"
    page.fill("#filter", "den")
    wait_rows(page, ["bob", "ann"])
    assert page.inner_text("#count") == "3 open, 2 match"
    page.fill("#filter", "den ANN")
    wait_rows(page, ["ann"])
    # Both last over a reload.
    page.reload()
    wait_rows(page, ["ann"])
    page.fill("#filter", "")
    wait_rows(page, ["zoe", "bob", "ann"])
    page.fill("#filter", "nobody")
    wait_rows(page, [])
    assert page.inner_text("#empty") == "No connection matches."
    page.fill("#filter", "bob")
    page.click("#sessions tr:not([hidden]) [data-action=watch]")
    page.wait_for_function("() => document.getElementById('watch-state').textContent === 'watching'")
    assert page.inner_text("#watch-heading").startswith("Traffic of bob (")


def restart(chromium, url):
    # A browser that sends the credential for pages and not for WebSockets has only the cookie, which does not outlast
    # the server.
    text = ":".join(CREDENTIALS.values())
    fields = {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
    page = open_monitor(chromium, url, http_credentials=None, extra_http_headers=fields)
    wait_rows(page, ["ann"])
    page.fill("#filter", "bob")
    wait_rows(page, [])
    page.wait_for_function("() => points.minutes.length > 2")
    # The server sends the log to each new connection, and the page shows each line once.
    page.wait_for_function("() => document.getElementById('log').textContent.includes('opened: ')")
    page.evaluate("lost()")
    page.wait_for_selector("body.stale")
    page.wait_for_selector("body:not(.stale)")
    page.wait_for_function("() => document.querySelectorAll('#sessions tr').length === 1")
    opened = "() => [...document.querySelectorAll('#log p')].filter((line) => line.textContent.includes('opened: 0.')).length"
    assert page.evaluate(opened) == 1, page.inner_text("#log")
    seen = page.evaluate("points.minutes[0].at")
    ask("restart")
    wait_rows(page, ["bob"])
    connected(page)
    # What the page has seen before stays: the filter, the curves, and the log.
    assert page.input_value("#filter") == "bob"
    page.wait_for_function("seen => points.minutes[0].at === seen && points.minutes.at(-1)?.inward >= 0", arg=seen)
    assert page.evaluate("points.minutes.includes(null)")
    page.wait_for_function("() => document.querySelectorAll('#log p').length > 1")
    # With a credential that is no longer good, it does not try again and says what to do.
    page.route("**/monitor", lambda route: route.fulfill(status=401))
    page.evaluate("lost()")
    page.wait_for_function("() => document.getElementById('state').textContent.includes('signed out')")
    assert page.evaluate("[socket, retryAt]") == [None, None]
    problems[:] = [problem for problem in problems if "401" not in problem]


def dialog(page, words):
    page.wait_for_selector("#ask[open]")
    assert words in page.inner_text("#ask"), page.inner_text("#ask")
    return page


def lockout(chromium, url):
    page = open_monitor(chromium, url)
    page.wait_for_function("() => document.querySelectorAll('#sessions tr').length === 1")
    assert "127.0.0.1" in page.inner_text("#sessions") and "(yours)" in page.inner_text("#sessions")
    OWN = "This is your own address: you would lock yourself out."
    # Only with the keyboard. Enter on the harmless choice changes nothing, and Escape neither.
    for key in ("Enter", "Escape"):
        page.focus("#sessions [data-action=quarantine]")
        page.keyboard.press("Enter")
        dialog(page, OWN)
        assert focused(page) == "ask-no"
        page.keyboard.press(key)
        page.wait_for_selector("#ask:not([open])", state="attached")
        assert page.evaluate("document.activeElement.dataset.action") == "quarantine"
    page.fill("#quarantine-address", "127.0.0.1")
    page.keyboard.press("Enter")
    dialog(page, OWN)
    page.keyboard.press("Escape")
    # Another form of the address, which only the server knows to be the same.
    page.fill("#quarantine-address", "::ffff:127.0.0.1")
    page.keyboard.press("Enter")
    dialog(page, "Quarantine ::ffff:127.0.0.1?")
    assert OWN not in page.inner_text("#ask")
    page.click("#ask-yes")
    page.wait_for_function("own => document.getElementById('ask').open && document.getElementById('ask').innerText.includes(own)", arg=OWN)
    page.click("#ask-no")
    assert page.evaluate("quarantined.size") == 0
    page.click("#drain")
    dialog(page, "That ends this page too.")
    page.click("#ask-no")
    page.fill("#quarantine-address", "192.0.2.1")
    page.keyboard.press("Enter")
    dialog(page, "Quarantine 192.0.2.1?")
    assert OWN not in page.inner_text("#ask")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("() => quarantined.has('192.0.2.1')")
    assert page.is_hidden("#draining") and len(rows(page)) == 1
    # Whoever insists is locked out, and this page still works.
    page.click("#sessions [data-action=quarantine]")
    dialog(page, OWN).click("#ask-yes")
    page.wait_for_function("() => quarantined.has('127.0.0.1') && document.querySelectorAll('#sessions tr').length === 0")
    page.click("#quarantine-list li:has-text('127.0.0.1') [data-action=release]")
    page.wait_for_function("() => !quarantined.has('127.0.0.1')")


def history(chromium, url):
    page = open_monitor(chromium, url)
    # The server has taken a sample at its start.
    page.wait_for_function("() => lastSample.hour !== null && lastSample.day !== null")
    curve = "document.querySelector('#chart-messages .curve').getAttribute('d')"
    # What it would send after an hour, and then at the next step: the messages of each step are one more.
    page.evaluate("""() => {
        const now = serverNow();
        lastSample.hour = lastSample.day = null;
        points.hour = []; points.day = [];
        const samples = (step, count) => [...Array(count).keys()].map((n) => [now - (count - n) * step, 3, 0, 10 * n, 20 * n, n, 1000 * n]);
        const series = [{ step_ms: 10000, samples: samples(10000, 360) }, { step_ms: 300000, samples: samples(300000, 288) }];
        showHistory({ series });
        showHistory({ series });
        const [, , , inward, outward, trips, us] = series[0].samples.at(-1);
        showHistory({ series: [{ step_ms: 10000, samples: [[now, 3, 0, inward + 20, outward, trips, us]] }] });
    }""")
    assert page.evaluate("[points.hour.length, points.day.length]") == [360, 287]
    last = page.evaluate("points.hour.at(-1)")
    assert (last["inward"], last["outward"], last["ping"], last["open"]) == (2, 0, None, 3), last
    assert page.evaluate("points.hour[0].inward") == 1 and page.evaluate("points.hour[0].ping") == 1
    minutes = page.evaluate(curve)
    for name, words, parts in (("hour", "1 hour ago", 360), ("day", "1 day ago", 287)):
        page.select_option("#range", name)
        assert words in page.inner_text("#chart-messages")
        path = page.evaluate(curve)
        assert path != minutes and path.count("L") == parts - 1 and path.count("M") == 1, path
    shot(page, "history-day")
    # A server that starts again counts from 0: the curve is interrupted.
    page.evaluate("""() => showHistory({ series: [{ step_ms: 10000, samples: [[serverNow() + 10000, 1, 0, 0, 0, 0, 0]] }] })""")
    assert page.evaluate("points.hour.at(-1)") is None
