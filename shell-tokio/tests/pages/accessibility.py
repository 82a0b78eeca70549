def check(page, name):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
        assert len(found["passes"]) > 10, "axe has looked at the page"
        for one in found["violations"]:
            problems.append((name, scheme, one["id"], one["help"], [node["target"] for node in one["nodes"]]))
        shot(page, f"{name}-{scheme}")
    # No part of the page is reached only by scrolling to the side.
    if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
        problems.append((name, "it is wider than the window"))


def axe(chromium, url):
    with open(os.environ["DRUPE_TEST_NODE_MODULES"] + "/axe-core/axe.min.js") as source:
        rules = source.read()
    pages = {}
    for width in WIDTHS:
        chat = open_chat(chromium, url, width)
        monitor = open_monitor(chromium, url, width)
        for page in (chat, monitor):
            # The debugger of the browser runs it, so the policy of the page does not apply.
            page.evaluate(rules)
        monitor.locator("#sessions tr", has_text="bob").locator("[data-action=watch]").click()
        monitor.wait_for_function("() => document.getElementById('watch-state').textContent === 'watching'")
        pages[width] = chat, monitor
    first = pages[1280][1]
    first.fill("#quarantine-address", "192.0.2.1")
    first.keyboard.press("Enter")
    first.click("#ask-yes")
    ask("talk")
    for width, (chat, monitor) in pages.items():
        wait(chat, "<carla> hello")
        monitor.wait_for_selector("#quarantine-list li")
        monitor.wait_for_selector("#watched p")
        check(chat, f"chat-{width}")
        check(monitor, f"monitor-{width}")
    # What covers a part of the page: the lists of the chat on a phone, and a question of the monitor.
    chat.click("#side-toggle")
    check(chat, "chat-people-390")
    for width in (1280, 390):
        monitor = pages[width][1]
        monitor.locator("#sessions [data-action=quarantine]").first.click()
        monitor.wait_for_selector("#ask[open]")
        check(monitor, f"monitor-question-{width}")
