// The Images tab in the browser: pictures kept in this browser only, saving, the comparing slider, and who is ahead.
(() => {
  const KEY = "mc-pictures", MOST = 24, SIDE = 256, LONG = 150_000, ASK_MS = 5_000;
  let memory = []; // where the browser keeps nothing, the history lasts as long as the page

  function kept() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY) ?? JSON.stringify(memory));
      const fits = (each) => /^data:image\/png;base64,/.test(each?.src) && each.made && typeof each.made === "object";
      return Array.isArray(found) ? found.filter(fits).slice(0, MOST) : [];
    } catch {
      return memory;
    }
  }

  function keep(list) {
    memory = list.slice(0, MOST);
    for (let most = MOST; most >= 0; most -= 4) {
      try {
        return localStorage.setItem(KEY, JSON.stringify(memory.slice(0, most)));
      } catch {
        // full: the oldest go
      }
    }
  }

  // A small file is kept as it is, its parameters in it; of a large one, a smaller copy.
  function smaller(image) {
    if (image.src.length <= LONG) return image.src;
    const scale = Math.min(1, SIDE / Math.max(image.naturalWidth, image.naturalHeight));
    const [width, height] = [image.naturalWidth, image.naturalHeight].map((side) => Math.max(1, Math.round(side * scale)));
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/png");
  }

  async function remember(image) {
    image.dataset.kept = "1";
    await image.decode().catch(() => {});
    if (!image.naturalWidth) return;
    const made = JSON.parse(image.dataset.made);
    const key = (of) => JSON.stringify({ ...of, seconds: 0, count: 1 }, Object.keys(made).sort());
    keep([{ src: smaller(image), made }, ...kept().filter((each) => key(each.made) !== key(made))]);
    draw();
  }

  function draw() {
    const shelf = document.querySelector(".mc-paint-history"), list = kept();
    if (!shelf) return;
    shelf.dataset.drawn = "1";
    shelf.hidden = !list.length;
    shelf.querySelector(".mc-paint-large").hidden = true;
    shelf.querySelector(".mc-paint-kept").replaceChildren(
      ...list.map(({ src, made }) => {
        const item = document.createElement("li"), pressed = document.createElement("button");
        const image = Object.assign(new Image(), { src, alt: String(made.prompt ?? "") });
        pressed.type = "button";
        pressed.title = image.alt;
        pressed.dataset.details = JSON.stringify(made); // the form is filled with it: tabs/image_generation.py
        pressed.append(image);
        item.append(pressed);
        return item;
      }),
    );
  }

  function enlarge(pressed) {
    const shelf = pressed.closest(".mc-paint-history"), large = shelf.querySelector(".mc-paint-large");
    const made = JSON.parse(pressed.dataset.details);
    for (const each of shelf.querySelectorAll(".mc-paint-kept button")) each.ariaPressed = String(each === pressed);
    Object.assign(large.querySelector("img"), { src: pressed.firstChild.src, alt: pressed.title });
    large.querySelector("figcaption").textContent = [made.prompt, made.model, made.seed].filter((each) => each != null).join(" · ");
    large.hidden = false;
  }

  function save(pressed) {
    const image = pressed.closest(".mc-panel").querySelectorAll(".mc-paint-picture")[Number(pressed.dataset.place)];
    const download = `model-classroom-${JSON.parse(image.dataset.made).seed}.png`;
    Object.assign(document.createElement("a"), { href: image.src, download }).click();
  }

  document.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-paint], .mc-paint-kept button");
    if (!pressed) return;
    if (pressed.dataset.paint === "save") save(pressed);
    else if (pressed.dataset.paint === "clear") (keep([]), draw());
    else enlarge(pressed);
  });
  document.addEventListener("input", (event) => {
    const pair = event.target.closest(".mc-paint-compare");
    if (pair) pair.style.setProperty("--at", `${event.target.value}%`);
  });
  // A PNG may be dropped anywhere on the tab; its field is there once its fold is open.
  document.addEventListener("dragover", (event) => {
    const tab = event.target.closest?.(".mc-paint");
    if (!tab || !event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    if (!tab.querySelector("#mc-image_generation-file")) tab.querySelector("#mc-paint-read > button:not(.open)")?.click();
  });
  document.addEventListener("drop", (event) => {
    const field = event.target.closest?.(".mc-paint")?.querySelector("#mc-image_generation-file input[type=file]");
    if (!field || event.defaultPrevented || !event.dataTransfer.files.length) return;
    event.preventDefault();
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
  window.addEventListener("storage", (event) => event.key === KEY && draw());

  new MutationObserver(() => {
    for (const image of document.querySelectorAll(".mc-paint-picture:not([data-kept])")) (remember(image), setTimeout(ask, 500));
    if (document.querySelector(".mc-paint-history:not([data-drawn])")) (draw(), setTimeout(ask, 500));
  }).observe(document.documentElement, { childList: true, subtree: true });

  // How long a run would wait is asked only while somebody looks at the tab.
  function ask() {
    const seen = document.getElementById("mc-image_generation-prompt")?.offsetParent;
    if (seen && document.visibilityState === "visible") document.getElementById("mc-paint-ask")?.click();
  }
  setInterval(ask, ASK_MS);
})();
