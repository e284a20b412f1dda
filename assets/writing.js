// Text that the model writes: the token that is looked at, what else could have stood there, and the keyboard.
(() => {
  const ROWS = 5;
  const states = new WeakMap();
  let within = false; // whether the keyboard was in the answer that is being replaced

  function part(tag, css, ...content) {
    const element = document.createElement(tag);
    if (css) element.className = css;
    element.append(...content);
    return element;
  }

  // White space is drawn, faintly: " " and "\n" are tokens like any other.
  function shown(token) {
    const marks = { " ": "␣", "\n": "↵", "\t": "⇥" };
    return [...token].map((each) => (marks[each] ? part("span", "mc-ws", marks[each]) : each));
  }

  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const filled = (sentence, values) => sentence.replace(/{(\w+)}/g, (blank, name) => values[name] ?? blank);

  function row(tag, css, name, share) {
    const fill = part("span", "mc-bar-fill");
    fill.style.width = `${Math.min(100, 100 * share)}%`;
    return part(tag, `mc-alt ${css}`, part("span", "mc-alt-name", ...name), part("span", "mc-bar-track", fill), part("span", "mc-bar-score", percent(share)));
  }

  // A button to the token before or after: on a phone, some are too narrow to be hit.
  function step(box, place, arrow, name) {
    const button = part("button", "", arrow);
    button.type = "button";
    button.dataset.step = String(place);
    button.setAttribute("aria-label", name);
    button.disabled = !states.get(box).data[place - states.get(box).first];
    return button;
  }

  function bars(box, place) {
    const { words, tokens, first, data } = states.get(box);
    const [token, id, probability, others] = data[place - first];
    // The written token is always among them; as many rows in every place, so that nothing below moves.
    const rows = others.some((each) => each[1] === id) ? others.slice(0, ROWS) : [...others.slice(0, ROWS - 1), [token, id, probability]];
    const list = rows.map(([name, number, share]) => {
      if (number === id) {
        const written = row("div", "mc-alt-written", [...shown(name), " ", part("small", "", `✓ ${words.written}`)], share);
        written.setAttribute("aria-current", "true");
        return written;
      }
      const other = row("button", "", shown(name), share);
      other.type = "button";
      other.disabled = box.dataset.live === "1" || box.dataset.fixed === "1"; // what was written elsewhere stays
      other.dataset.instead = `${place} ${number}`;
      other.setAttribute("aria-label", filled(words.go, { token: name, share: percent(share) }));
      return other;
    });
    const rest = 1 - rows.reduce((sum, each) => sum + each[2], 0);
    if (rest > 0.0005) list.push(row("div", "mc-alt-others", [words.others], rest));
    const where = part("span", "", filled(words.place, { place: place + 1, count: tokens.length }));
    const steps = [[-1, "←", words.before], [1, "→", words.after]].map(([by, arrow, name]) => step(box, place + by, arrow, name));
    const title = part("p", "mc-next-title", where, part("b", "", ...shown(token)), ...steps);
    box.querySelector(".mc-next").replaceChildren(title, ...list);
  }

  function look(box, place, focus) {
    const { tokens, first, data } = states.get(box);
    if (!data[place - first]) return;
    tokens.forEach((token, number) => {
      token.setAttribute("aria-pressed", String(number === place));
      token.tabIndex = number === place ? 0 : -1;
    });
    bars(box, place);
    if (focus) {
      tokens[place].focus();
      box.querySelector(".mc-next").scrollIntoView({ block: "nearest" });
    }
  }

  function draw(box) {
    box.dataset.drawn = "1";
    const tokens = [...box.querySelectorAll(".mc-token")];
    const data = JSON.parse(box.dataset.tokens);
    states.set(box, { tokens, data, first: tokens.length - data.length, words: JSON.parse(box.dataset.words) });
    for (const token of tokens) token.setAttribute("role", "button");
    if (tokens.length) look(box, Number(box.dataset.at), false);
    if (box.dataset.live === "1" || !within) return;
    within = false;
    if (document.activeElement === document.body) tokens[Number(box.dataset.at)]?.focus({ preventScroll: true });
  }

  const tokenOf = (event) => {
    const token = event.target.closest?.(".mc-written .mc-token");
    const box = token?.closest(".mc-written");
    return box && states.has(box) ? { box, place: states.get(box).tokens.indexOf(token), count: states.get(box).tokens.length } : null;
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-instead], [data-version]")) within = true;
    const found = tokenOf(event);
    if (found) look(found.box, found.place, true);
    const stepped = event.target.closest?.(".mc-next-title [data-step]");
    if (!stepped) return;
    const box = stepped.closest(".mc-written"), forward = !stepped.nextElementSibling;
    look(box, Number(stepped.dataset.step), false);
    const again = box.querySelectorAll(".mc-next-title button");
    (again[Number(forward)].disabled ? again[Number(!forward)] : again[Number(forward)]).focus();
  });

  document.addEventListener("keydown", (event) => {
    const found = tokenOf(event);
    if (!found || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const { box, place, count } = found;
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: count - 1, Enter: place, " ": place }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    look(box, Math.max(0, Math.min(count - 1, next)), true);
  });

  new MutationObserver(() => {
    for (const box of document.querySelectorAll(".mc-written:not([data-drawn])")) draw(box);
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
