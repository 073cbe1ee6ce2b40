// Comfort only: every page works without this.
"use strict";

// <form data-busy="Saving…">, or a link: while the answer is awaited, the button says what it is doing. A form is sent
// once, however often somebody clicks; a second click says so. Buttons are not disabled: a disabled one would not be sent
// along, and would lose the focus. If no answer comes, the button works again after a minute.
const BUSY_MS = 60_000;
const waiting = document.getElementById("waiting");
const labels = new Map();
const say = (button, words) => {
  if (button) {
    if (!labels.has(button)) labels.set(button, [...button.childNodes]);
    button.replaceChildren(words);
    button.setAttribute("aria-disabled", "true");
  }
  waiting.textContent = words;
};
const stopWaiting = () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const [button, label] of labels) {
    button.replaceChildren(...label);
    button.removeAttribute("aria-disabled");
  }
  labels.clear();
  waiting.textContent = "";
};
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented || event.submitter?.matches("[data-download]")) return;
  const button = event.submitter;
  if (form.dataset.sent) {
    event.preventDefault();
    say(button, waiting.dataset.already);
    return;
  }
  form.dataset.sent = "true";
  const words = button?.dataset.busy ?? form.dataset.busy;
  if (words) say(button, words);
  setTimeout(stopWaiting, BUSY_MS);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-busy]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button !== 0) return;
  if (labels.has(link)) {
    event.preventDefault();
    say(link, waiting.dataset.already);
    return;
  }
  say(link, link.dataset.busy);
  setTimeout(stopWaiting, BUSY_MS);
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  stopWaiting();
  // A page that was kept as it was left shows its own rows; so its filters have to be those that it came with.
  for (const form of document.querySelectorAll("form[method='get']")) form.reset();
});

// <button data-copy="id"> copies the text of the element with that id.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// <p data-count-for="field" data-limit="160" data-text="{left}"> says how many characters are left.
for (const line of document.querySelectorAll("[data-count-for]")) {
  const field = document.getElementById(line.dataset.countFor);
  const show = () => {
    const left = Number(line.dataset.limit) - field.value.replaceAll("\r\n", "\n").length;
    line.textContent = (left < 0 ? line.dataset.over : line.dataset.text).replace("{left}", Math.abs(left));
    line.classList.toggle("fault", left < 0);
  };
  field.addEventListener("input", show);
  show();
}

// <span data-preview-of="field" data-otherwise="New"> shows what is entered in the field with that id.
for (const shown of document.querySelectorAll("[data-preview-of]")) {
  document.getElementById(shown.dataset.previewOf).addEventListener("input", (event) => {
    shown.textContent = event.target.value.trim() || shown.dataset.otherwise;
  });
}

// On a narrow screen tabs scroll sideways. The current one is in sight, and so is one that the keyboard reaches: browsers
// leave it where it is if a part of it can be seen.
for (const tabs of document.querySelectorAll(".tabs")) {
  const center = (tab) => {
    tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
  };
  new ResizeObserver(() => { for (const current of tabs.querySelectorAll("[aria-current]")) center(current); }).observe(tabs);
  tabs.addEventListener("focusin", ({ target }) => { if (target.matches(":focus-visible")) center(target); });
}

// Filters apply when one is chosen with the pointer or by Enter. Arrow keys only go through the choices (WCAG 3.2.2).
// The page that comes back has the focus where it was.
for (const form of document.querySelectorAll("form[data-auto-submit]")) {
  const place = `focus in ${form.action}`;
  let chosen = false;
  form.addEventListener("pointerdown", (event) => { chosen = event.target.closest("select") !== null; });
  form.addEventListener("keydown", (event) => {
    chosen = event.key === "Enter";
    // An open list takes the choice over after this event.
    if (chosen && event.target.matches("select")) setTimeout(() => form.requestSubmit());
  });
  form.addEventListener("change", (event) => {
    if (chosen && event.target.matches("select")) form.requestSubmit();
  });
  form.addEventListener("submit", () => sessionStorage.setItem(place, document.activeElement.id));
  const before = document.getElementById(sessionStorage.getItem(place));
  if (before?.closest("details")) before.closest("details").open = true;
  before?.focus();
  sessionStorage.removeItem(place);
}

// <form data-selection>: one box selects all rows of the page, and the page says how many are selected. Buttons with
// data-for-selection wait for the first.
for (const form of document.querySelectorAll("form[data-selection]")) {
  const all = form.querySelector("[data-select-all]");
  const said = form.querySelector("[data-selected]");
  const buttons = form.querySelectorAll("[data-for-selection]");
  const boxes = () => [...form.querySelectorAll("td.pick input")];
  const show = () => {
    const count = boxes().filter((box) => box.checked).length;
    all.checked = count === boxes().length;
    all.indeterminate = count > 0 && !all.checked;
    said.textContent = count ? said.dataset.selected.replace("{count}", count) : "";
    for (const button of buttons) button.disabled = !count;
  };
  all.closest("[hidden]").hidden = false;
  all.addEventListener("change", () => { for (const box of boxes()) box.checked = all.checked; });
  form.addEventListener("change", show);
  window.addEventListener("pageshow", show);
}

// <datalist data-time-zone-for="field"> puts the browser's time zone into the field if it is one of the list.
for (const list of document.querySelectorAll("datalist[data-time-zone-for]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...list.options].some(({ value }) => value === zone)) document.getElementById(list.dataset.timeZoneFor).value = zone;
}

// <form data-keep> outlives a session that ends while somebody types. What is sent is kept in this tab, secrets aside,
// until a page shows that it arrived; when the same form comes back as it is stored, after the sign-in, it is put back.
// Whoever else signs in does not see it.
const KEPT_MS = 3600_000;
const person = document.body.dataset.person;
const isOurs = (kept) => kept.person === person && Date.now() - kept.at <= KEPT_MS;
const pageOf = (address) => address.pathname + address.search;
if (new URLSearchParams(location.search).has("done")) {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith("typed:")) sessionStorage.removeItem(key);
}
for (const form of document.querySelectorAll("form[data-keep]")) {
  const action = new URL(form.action);
  const key = `typed:${action.pathname}${form.elements.change ? `#${form.elements.change.value}` : ""}`;
  const fields = () => [...form.elements].filter((each) => each.name && !["password", "submit"].includes(each.type));
  const isBox = (field) => ["checkbox", "radio"].includes(field.type);
  const nameOf = (field) => (field.type === "radio" ? `${field.name}=${field.value}` : field.name);
  form.addEventListener("submit", () => {
    const typed = fields().map((each) => [nameOf(each), isBox(each) ? each.checked : each.value]);
    // The sign-in can lead to the page without its query.
    const pages = [pageOf(action), pageOf(location), location.pathname];
    sessionStorage.setItem(key, JSON.stringify({ at: Date.now(), person, pages, typed }));
  });
  const kept = JSON.parse(sessionStorage.getItem(key));
  sessionStorage.removeItem(key);
  if (!kept || form.dataset.keep === "typed" || !kept.pages.includes(pageOf(location)) || !isOurs(kept)) continue;
  const typed = new Map(kept.typed);
  for (const field of fields().filter((each) => typed.has(nameOf(each)))) {
    if (isBox(field)) field.checked = typed.get(nameOf(field));
    else field.value = typed.get(field.name);
    field.dispatchEvent(new Event("input"));
  }
  form.closest("details")?.setAttribute("open", "");
  document.querySelector("[data-restored]").hidden = false;
}

// <form data-resend="/place"> has no address of its own. What is sent is kept in this tab; if the session has ended, the
// sign-in leads to /place, where <form data-resume="/address"> sends it again. A page at the address shows that it arrived.
const entriesOf = (form, button) =>
  [...new FormData(form, button)].filter(([name, value]) => typeof value === "string" && form.elements[name]?.type !== "password");
for (const form of document.querySelectorAll("form[data-resend]")) {
  form.addEventListener("submit", (event) => {
    const kept = { at: Date.now(), person, entries: entriesOf(form, event.submitter) };
    sessionStorage.setItem(`typed:${new URL(form.action).pathname}`, JSON.stringify(kept));
  });
}
for (const key of Object.keys(sessionStorage)) {
  if (key.startsWith("typed:") && location.pathname.startsWith(key.slice("typed:".length))) sessionStorage.removeItem(key);
}
for (const form of document.querySelectorAll("form[data-resume]")) {
  const kept = JSON.parse(sessionStorage.getItem(`typed:${new URL(form.action).pathname}`));
  if (!kept?.entries || !isOurs(kept)) continue;
  for (const [name, value] of kept.entries) {
    if (name === "step") continue;
    const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
    form.append(field);
  }
  form.closest("[data-resumes]").hidden = false;
}

// <input data-suggests data-connection="contoso" data-kind="incident" data-column="cmdb_ci" list="…"> suggests values from
// ServiceNow while somebody types. With data-kind-from="field", the value comes from the field with that id.
const SUGGEST_MS = 300;
for (const input of document.querySelectorAll("input[data-suggests]")) {
  const read = (name) => input.dataset[name] ?? document.getElementById(input.dataset[`${name}From`])?.value.trim();
  let timer = 0;
  let asked = "";
  const suggest = async () => {
    const connection = read("connection");
    const wanted = { kind: read("kind"), column: read("column"), text: input.value.trim().slice(0, 100) };
    const query = new URLSearchParams(wanted).toString();
    if (!connection || !wanted.column || asked === `${connection}?${query}`) return;
    asked = `${connection}?${query}`;
    const answer = await fetch(`/api/connections/${encodeURIComponent(connection)}/suggestions?${query}`).catch(() => null);
    if (!answer?.ok || asked !== `${connection}?${query}`) return;
    const { suggestions } = await answer.json();
    const options = suggestions.map(({ value, label }) => {
      const shared = suggestions.filter((each) => each.label === label).length > 1;
      const option = document.createElement("option");
      option.value = shared ? value : label;
      if (shared) option.label = label;
      return option;
    });
    input.list.replaceChildren(...options);
  };
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(suggest, SUGGEST_MS); });
  input.addEventListener("focus", suggest);
}

// Times are written in UTC; here they are shown in the browser's time zone, in the form that all pages use.
const two = (number) => String(number).padStart(2, "0");
const localTime = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
const showLocalTimes = (root) => {
  for (const time of root.querySelectorAll("time[data-local]")) {
    time.title = time.textContent;
    time.textContent = localTime(new Date(time.dateTime));
  }
};
showLocalTimes(document);

// <form data-poll> is sent again and again, while the answers have such a form, too. What has changed in elements with
// data-live is replaced; the rest of the page stays, and so does the focus. While nothing happens, it is sent less often.
const POLL_MS = 500;
const SLOWEST_POLL_MS = 30_000;
const poll = async (pause) => {
  const form = document.querySelector("form[data-poll]");
  if (!form || form.dataset.sent) return;
  let changed = false;
  if (!document.hidden) {
    const answer = await fetch(form.action, { method: form.method }).catch(() => null);
    const fresh = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    for (const shown of document.querySelectorAll("[data-live]")) {
      const now = fresh?.getElementById(shown.id);
      if (!now || shown.innerHTML === now.innerHTML) continue;
      shown.replaceChildren(...now.childNodes);
      changed = true;
    }
  }
  const next = changed ? POLL_MS : Math.min(2 * pause, SLOWEST_POLL_MS);
  setTimeout(poll, next, next);
};
setTimeout(poll, POLL_MS, POLL_MS);

// <main data-refresh="60"> refreshes itself each 60 seconds: only what differs is replaced, so the page does not flicker,
// and scroll, focus and opened details stay. It waits while somebody types, has the focus in a form or has selected text,
// and while nobody sees the page. It ends when an answer is not the page any more, as after a sign-out, and after hours,
// so that a forgotten page does not ask for ever.
const REFRESH_FOR_MS = 8 * 3600_000;
const openedAt = Date.now();
const SCRIPTED = "[data-copy], [data-count-for], [data-preview-of], [data-restored], [data-selected], [data-for-selection], .select-all, datalist";
const isTouched = (field) => {
  if (field.matches("select")) {
    return field.selectedIndex !== Math.max(0, [...field.options].findIndex((each) => each.defaultSelected));
  }
  if (["checkbox", "radio"].includes(field.type)) return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
};
const isInUse = (main) =>
  document.hidden
  || !getSelection().isCollapsed
  || document.activeElement?.closest("main form, dialog") != null
  || main.querySelector("form[data-sent], dialog[open]") != null
  || [...main.querySelectorAll("input:not([type='hidden']), select, textarea")].some(isTouched);
const replaceContent = (shown, fresh) => {
  const focused = shown.contains(document.activeElement) ? document.activeElement : null;
  shown.replaceChildren(...fresh.childNodes);
  if (!focused) return;
  const same = focused.id ? document.getElementById(focused.id)
    : [...shown.querySelectorAll(focused.tagName)].find((each) => each.textContent === focused.textContent);
  same?.focus({ preventScroll: true });
};
const freshen = (shown, fresh) => {
  if (shown.nodeName === "DETAILS") fresh.open = shown.open;
  if (shown.isEqualNode(fresh) || (shown.matches?.(SCRIPTED) ?? false)) return;
  if (shown.nodeType !== Node.ELEMENT_NODE || shown.nodeName !== fresh.nodeName) {
    shown.replaceWith(fresh);
    return;
  }
  for (const { name } of [...shown.attributes]) if (!fresh.hasAttribute(name)) shown.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  const before = [...shown.childNodes];
  const after = [...fresh.childNodes];
  if (before.length !== after.length || before.some((each, at) => each.nodeName !== after[at].nodeName)) {
    const open = [...shown.querySelectorAll("details[open] > summary")].map((each) => each.textContent);
    for (const summary of fresh.querySelectorAll("details > summary")) {
      if (open.includes(summary.textContent)) summary.parentElement.open = true;
    }
    replaceContent(shown, fresh);
    return;
  }
  before.forEach((each, at) => freshen(each, after[at]));
};
const refresh = async () => {
  const main = document.querySelector("main[data-refresh]");
  const again = () => setTimeout(refresh, Number(main.dataset.refresh) * 1000);
  if (isInUse(main)) return again();
  const answer = Date.now() - openedAt < REFRESH_FOR_MS
    ? await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null) : null;
  const page = answer?.ok && !answer.redirected ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  const fresh = page?.querySelector("main[data-refresh]");
  if (!fresh) {
    main.querySelector("[data-refresh-stopped]")?.removeAttribute("hidden");
    return undefined;
  }
  if (!isInUse(main)) {
    showLocalTimes(fresh);
    freshen(main, fresh);
    const [shown, now] = [document, page].map((each) => each.getElementById("places"));
    if (shown && now) freshen(shown, now);
  }
  return again();
};
{
  const main = document.querySelector("main[data-refresh]");
  if (main) setTimeout(refresh, Number(main.dataset.refresh) * 1000);
}
