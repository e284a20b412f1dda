// The upload areas of the CLIP tab are named by what stands in them; gradio gives them another name besides.
(() => {
  const areas = ":is(.mc-clip-picture, .mc-clip-pictures) button[aria-label]:has(.wrap)";
  new MutationObserver(() => {
    for (const area of document.querySelectorAll(areas)) area.removeAttribute("aria-label");
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
