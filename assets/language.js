// The page's language: the link's, else the switch's, else the browser's. Runs before gradio does (tabs/_page.py), which
// translates labels by navigator.language and has no switch of its own.
(() => {
  const LANGUAGES = ["ko", "en"];
  const query = new URLSearchParams(location.search);
  const browser = (navigator.language || "en").slice(0, 2);
  const wanted = query.get("lang") || localStorage.getItem("mc-language") || browser;
  const language = LANGUAGES.includes(wanted) ? wanted : "en";
  if (query.get("lang")) localStorage.setItem("mc-language", language);
  document.cookie = `classroom_lang=${language};path=/;max-age=31536000;SameSite=Lax`;
  Object.defineProperty(Navigator.prototype, "language", { get: () => language, configurable: true });
  Object.defineProperty(Navigator.prototype, "languages", { get: () => [language], configurable: true });
  document.documentElement.lang = language;
})();
