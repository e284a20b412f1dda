// A text far over the limit never reaches a field: the browser would lay it out for half a minute before the server could
// say that it is too long. What the field held stays.
(() => {
  const rule = document.querySelector("meta[name=mc-longest]");
  if (!rule) return;
  const limit = Number(rule.content);
  const kept = new WeakMap();
  const notes = new WeakMap();
  const number = (value) => value.toLocaleString("en-US");

  function say(field, length) {
    const sentence = document.documentElement.lang === "ko" ? rule.dataset.ko : rule.dataset.en;
    const note = document.createElement("p");
    note.className = "mc-error mc-too-long";
    note.setAttribute("role", "alert");
    note.textContent = sentence.replace("{length}", number(length)).replace("{limit}", number(limit));
    (field.closest(".input-container") ?? field).after(note); // below the field, not squeezed in beside it
    notes.set(field, note);
  }

  document.addEventListener(
    "input",
    (event) => {
      const field = event.target;
      if (!field.matches?.("textarea, input[type=text]")) return;
      notes.get(field)?.remove();
      // The server counts characters; here some take two units.
      if (field.value.length <= 2 * limit) return kept.set(field, field.value);
      const length = [...field.value].length;
      field.value = kept.get(field) ?? "";
      event.stopImmediatePropagation();
      say(field, length);
    },
    true,
  );
})();
