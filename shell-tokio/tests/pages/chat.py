def outage(chromium, url):
    page = open_chat(chromium, url)
    say(page, "/nick dora")
    wait(page, "is now dora")
    say(page, "/join den")
    wait(page, "* dora came to den")
    page.fill("#line", "typed before the outage")
    before = lines(page)
    ask("restart")
    wait(page, "* reconnected after")
    after = lines(page)
    assert after[:-1] == before and after[-1].startswith("* reconnected after "), after
    assert page.inner_text("#state") == "connected" and page.input_value("#line") == "typed before the outage"
    ask("answer")
    # The page hears only its room.
    wait(page, "<ann> hello")
    say(page, "here I am")
    wait(page, "<dora> here I am")


def name_in_use(chromium, url):
    page = open_chat(chromium, url)
    say(page, "/nick dora")
    wait(page, "is now dora")
    # It comes back when the test lets it.
    page.evaluate("() => { window.setTimeoutOfPage = setTimeout; window.setTimeout = () => 1; }")
    ask("restart")
    page.wait_for_selector("#reconnect:not([hidden])")
    page.evaluate("() => { window.setTimeout = window.setTimeoutOfPage; }")
    page.click("#reconnect")
    wait(page, "* reconnected after")
    wait(page, "(the name is still in use; asking again)")
    assert not [line for line in lines(page) if line.endswith("is taken")], lines(page)
    ask("give it up")
    page.wait_for_function("() => [...document.querySelectorAll('#people li')].some((one) => one.textContent === 'dora (you)')")
    # A name that the user asks for and does not get is told, and is not kept for the next connection.
    say(page, "/nick eve")
    wait(page, "* eve is taken")
    assert page.evaluate("chosen.get('name')") == "dora"


def kick(chromium, url):
    page = open_chat(chromium, url)
    say(page, "/nick dora")
    wait(page, "is now dora")
    monitor = open_monitor(chromium, url)
    row = monitor.locator("#sessions tr", has_text="dora")
    row.locator("[data-action=kick]").click()
    monitor.click("#ask-yes")
    wait(page, "* an operator closed the connection (kicked)")
    is_out = lambda: page.evaluate("[socket === null, timer === null]") == [True, True]
    assert is_out() and page.inner_text("#state") == "disconnected"
    # Neither a network that comes back nor a line that is typed connects it.
    page.evaluate("window.dispatchEvent(new Event('online'))")
    say(page, "hello")
    wait(page, "* not connected; nothing was sent")
    assert is_out() and page.input_value("#line") == "hello"
    monitor.wait_for_function("() => document.getElementById('sessions').childElementCount === 0")
    # The user decides. Only with the keyboard: the button is before the log and the line.
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "reconnect", focused(page)
    page.keyboard.press("Enter")
    connected(page)
    assert focused(page) == "line" and page.is_hidden("#reconnect")
    page.wait_for_function("() => isServed && restoring === null && present.room !== null && me === 'dora'")
    page.keyboard.press("Enter")
    wait(page, "<dora> hello")


def look(page, is_hidden):
    page.evaluate("""hidden => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    }""", is_hidden)


def unread(chromium, url):
    page = open_chat(chromium, url)
    title = page.title()
    look(page, True)
    ask("unseen")
    wait(page, "ann is now anna")
    # A message counts, and a line about people does not.
    assert page.title() == "(2) " + title, page.title()
    assert lines(page)[-3:] == ["<ann> one", "~ ann waves", "* ann is now anna"]
    marked = page.eval_on_selector("#log .mark", "mark => mark.nextElementSibling.lastElementChild.textContent")
    assert marked == "<ann> one", marked
    look(page, False)
    assert page.title() == title, page.title()
    ask("seen")
    wait(page, "<anna> three")
    assert page.title() == title and page.locator("#log .mark").count() == 1
    times = page.eval_on_selector_all("#log p > time", "all => all.map((one) => [one.textContent, Date.parse(one.dateTime)])")
    assert len(times) == len(lines(page))
    for text, time in times:
        assert page.evaluate("time => new Date(time).toTimeString().slice(0, 5)", time) == text, text


def listed(page, id, names):
    page.wait_for_function(
        "([id, names]) => [...document.querySelectorAll('#' + id + ' li')].map((one) => one.textContent).join() === names.join()",
        arg=[id, names])


def people(chromium, url):
    page = open_chat(chromium, url)
    me = page.evaluate("me")
    listed(page, "people", ["ann", me + " (you)"])
    listed(page, "rooms", ["den (1)", "lobby (2)"])
    ask("come")
    listed(page, "people", ["ann", me + " (you)", "bob"])
    ask("change")
    listed(page, "people", ["anna", me + " (you)"])
    # The page asks by itself, and shows only what the user asks for.
    assert not [line for line in lines(page) if line.startswith(("* in ", "* rooms: "))], lines(page)
    say(page, "/who")
    wait(page, "* in lobby: anna, " + me)
    # Only with the keyboard: from the line past the button to the people and the rooms.
    for _ in range(3):
        page.keyboard.press("Tab")
    assert focused(page) == "den (1)", focused(page)
    page.keyboard.press("Enter")
    wait(page, f"* {me} came to den")
    listed(page, "people", ["carla", me + " (you)"])
    listed(page, "rooms", ["den (2)", "lobby (1)"])
    assert focused(page) == "line"
    page.click("#people button")
    assert page.input_value("#line") == "/msg carla "
    # On a phone, the lists are behind a button.
    phone = open_chat(chromium, url, 390)
    assert phone.is_hidden("#side")
    phone.focus("#side-toggle")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#side", state="visible")
    assert phone.get_attribute("#side-toggle", "aria-expanded") == "true"
    shot(phone, "people-narrow")
    phone.keyboard.press("Escape")
    assert phone.is_hidden("#side") and focused(phone) == "side-toggle"
