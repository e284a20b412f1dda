// The CLIP tab in the browser: names of upload areas, and boxes that a list's rows show.
// The upload areas are named by what stands in them; gradio gives them another name besides.
(() => {
  const areas = ":is(.mc-clip-picture, .mc-clip-pictures) button[aria-label]:has(.wrap)";
  new MutationObserver(() => {
    for (const area of document.querySelectorAll(areas)) area.removeAttribute("aria-label");
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
// A row of the list of objects shows its box in the picture: while it is pointed at or has the focus, and once pressed.
(() => {
  let shown = null;
  let pointer = "";
  const show = (event) => {
    const row = event.target.closest?.(".mc-object") ?? null;
    if (row === shown) return;
    for (const mark of document.querySelectorAll(".mc-object-mark.mc-shown")) mark.classList.remove("mc-shown");
    for (const frame of document.querySelectorAll(".mc-objects.mc-one")) frame.classList.remove("mc-one");
    shown = row ?? document.querySelector(".mc-object[aria-pressed=true]");
    const answer = shown?.closest(".mc-objects");
    answer?.querySelector(`.mc-object-mark[data-object="${shown.dataset.object}"]`)?.classList.add("mc-shown");
    answer?.classList.add("mc-one");
  };
  document.addEventListener("focusin", show);
  document.addEventListener("pointerover", (event) => {
    const at = `${event.clientX} ${event.clientY}`;
    if (at === pointer) return; // the page was scrolled under a pointer at rest: the focus counts
    pointer = at;
    show(event);
  });
  document.addEventListener("click", (event) => {
    const row = event.target.closest?.(".mc-object");
    if (!row) return;
    const pressed = row.getAttribute("aria-pressed") !== "true";
    for (const other of row.closest(".mc-objects").querySelectorAll(".mc-object[aria-pressed=true]")) other.setAttribute("aria-pressed", "false");
    row.setAttribute("aria-pressed", String(pressed));
    show(event);
  });
})();
