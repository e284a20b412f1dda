// What the whole page does in the browser: projector mode, keyboard, examples, copying, links.
(() => {
  const language = document.documentElement.lang; // set by language.js
  const root = document.documentElement;
  root.classList.toggle("mc-projector", localStorage.getItem("mc-projector") === "1");

  const visible = (element) => element && element.offsetParent !== null;
  const find = (selector) => [...document.querySelectorAll(selector)].find(visible);
  const button = (element) => (element && element.matches("button") ? element : element && element.querySelector("button"));

  function setField(id, value) {
    const holder = document.getElementById(id);
    const field = holder && holder.querySelector("textarea, input");
    if (!field) return;
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // A link holds the tab, the filled text fields and the chosen model of what is on screen.
  function linkHere() {
    const link = new URL(location.origin + location.pathname);
    const fields = [...document.querySelectorAll("[id^='mc-'].mc-field, [id^='mc-'].mc-model, [id^='mc-'].mc-sc-models")].filter(visible);
    const tab = fields.length ? fields[0].id.split("-")[1] : "";
    if (tab) link.searchParams.set("tab", tab);
    const task = find("#mc-text_tasks-task input:checked");
    if (task) link.searchParams.set("task", task.value);
    for (const holder of fields) {
      const field = holder.querySelector("textarea, input");
      const name = holder.id.split("-").pop();
      const value = holder.matches(".mc-model, .mc-sc-models") ? modelOf(holder) : field && field.value;
      if (value) link.searchParams.set(name, value.slice(0, 1500));
    }
    return link;
  }

  function modelOf(holder) {
    const ticked = [...holder.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.name);
    if (holder.querySelector("input[type=checkbox]")) return ticked.join(",");
    const chosen = [...holder.querySelectorAll(".token")].map((token) => token.textContent.trim());
    const input = holder.querySelector("input");
    const names = chosen.length ? chosen : [input ? input.value : ""];
    return names.map((name) => name.split(" · ")[0]).filter((name) => /^[\w.-]+(\/[\w.-]+)?$/.test(name)).join(",");
  }

  async function copy(text, pressed) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea"); // without https there is no clipboard API
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const before = pressed.textContent;
    pressed.textContent = language === "ko" ? "✓ 복사했어요" : "✓ Copied";
    setTimeout(() => (pressed.textContent = before), 1500);
  }

  function download(name, text) {
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    anchor.download = name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
  }

  const actions = {
    copy: (pressed) => copy(pressed.closest("details").querySelector("pre").textContent, pressed),
    download: (pressed) => download(pressed.dataset.name, pressed.dataset.text),
    link: (pressed) => copy(linkHere().href, pressed),
    elsewhere: (pressed) => pressed.closest(".mc-left")?.querySelector(".mc-where input[value=elsewhere]")?.click(),
    larger: () => localStorage.setItem("mc-projector", root.classList.toggle("mc-projector") ? "1" : "0"),
    language: () => {
      const next = language === "ko" ? "en" : "ko";
      localStorage.setItem("mc-language", next);
      const link = linkHere();
      link.searchParams.set("lang", next);
      location.href = link.href;
    },
  };

  document.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-mc]");
    if (pressed && actions[pressed.dataset.mc]) return actions[pressed.dataset.mc](pressed);
    const chip = event.target.closest(".mc-chip");
    if (!chip || !chip.dataset.fill) return;
    for (const [id, value] of Object.entries(JSON.parse(chip.dataset.fill))) setField(id, value);
    if (chip.dataset.run === "1") setTimeout(() => button(find(".mc-run"))?.click(), 60);
  });

  // A tab is built when it is first shown; only then can it be filled with what a link names.
  const linked = `mc-${new URLSearchParams(location.search).get("tab")}-on-link`;
  const watcher = new MutationObserver(() => {
    // Until gradio takes its cover off the page, it hears no click.
    if (document.querySelector(".main > [data-testid=status-tracker]")) return;
    const opener = document.getElementById(linked);
    if (!opener) return;
    watcher.disconnect();
    if (window.mcJobs?.awaits(opener.id.split("-")[1])) return; // the form is filled with what its run was asked
    setTimeout(() => opener.click(), 20);
  });
  watcher.observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener(
    "keydown",
    (event) => {
      if (event.isComposing || event.keyCode === 229) return; // Hangul is being composed
      const press = (selector) => {
        const target = button(find(selector));
        if (!target) return;
        event.preventDefault();
        event.stopPropagation();
        target.click();
      };
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press(".mc-run");
      else if (event.key === "Escape" && !event.target.closest?.("[role='listbox'], [role='dialog']")) press(".mc-stop");
    },
    true,
  );
})();
