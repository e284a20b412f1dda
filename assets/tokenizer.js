// The tokenizer tab in the browser: the same place of the text in every tokenizer, and the replay of learned merges.
(() => {
  // Pointing at a token marks the tokens of the other tokenizers that share a character with it.
  let marked = [];
  const overlaps = (token, start, end) => Number(token.dataset.s) < end && Number(token.dataset.e) > start;
  document.addEventListener("mouseover", (event) => {
    const token = event.target.closest?.(".tk[data-s]");
    marked.forEach((other) => other.classList.remove("tk-hit"));
    marked = [];
    const panel = token && token.closest(".tk-answer");
    if (!panel) return;
    const [start, end] = [Number(token.dataset.s), Number(token.dataset.e)];
    marked = [...panel.querySelectorAll(".tk[data-s]")].filter((other) => overlaps(other, start, end));
    marked.forEach((other) => other.classList.add("tk-hit"));
  });

  // Replay: step k is the first k merges applied to the single characters.
  const stepsOf = new WeakMap();
  function replay(box) {
    if (!stepsOf.has(box)) {
      const data = JSON.parse(box.dataset.replay);
      stepsOf.set(box, { data, steps: [data.tokens] });
    }
    return stepsOf.get(box);
  }

  function merged(tokens, [left, right]) {
    const out = [];
    for (let place = 0; place < tokens.length; place++) {
      const both = tokens[place] === left && tokens[place + 1] === right;
      out.push(both ? left + right : tokens[place]);
      if (both) place++;
    }
    return out;
  }

  // As tabs/_tokens.py stable_hue: a token keeps its hue from step to step.
  function hue(token, before) {
    const own = [...token].reduce((sum, character) => sum + character.codePointAt(0), 0) % 8;
    return own === before ? (own + 1) % 8 : own;
  }

  function part(tag, text, css) {
    const element = document.createElement(tag);
    element.textContent = text;
    if (css) element.className = css;
    return element;
  }

  function draw(box, step) {
    const { data, steps } = replay(box);
    while (steps.length <= step) steps.push(merged(steps.at(-1), data.merges[steps.length - 1]));
    const merge = step ? data.merges[step - 1] : null;
    const made = merge ? merge[0] + merge[1] : null;
    let before = null;
    const tokens = steps[step].map((token) => {
      before = hue(token, before);
      return part("span", token, `tk mc-hue-${before}${token === made ? " tk-new" : ""}`);
    });
    box.querySelector(".tk-text").replaceChildren(...tokens);
    const caption = box.querySelector(".tk-caption");
    if (merge) {
      const seen = data.words.step_seen.replace("{n}", merge[2].toLocaleString());
      const words = [part("b", merge[0]), " + ", part("b", merge[1]), " → ", part("b", made), " ", part("small", seen)];
      caption.replaceChildren(...words);
    } else caption.replaceChildren(data.words.step_start);
    const [count, vocabulary] = data.counts[step];
    box.querySelector(".tk-n").textContent = count.toLocaleString();
    box.querySelector(".tk-v").textContent = vocabulary.toLocaleString();
    box.querySelector(".tk-bar span").style.width = `${(100 * count) / data.counts[0][0]}%`;
    box.querySelector("output").textContent = `${step} / ${data.merges.length}`;
    for (const rule of box.querySelectorAll(".tk-rule")) {
      rule.classList.toggle("tk-later", Number(rule.dataset.step) > step);
      rule.classList.toggle("tk-new", Number(rule.dataset.step) === step);
    }
  }

  document.addEventListener("input", (event) => {
    const box = event.target.closest?.(".tk-replay");
    if (!box || event.target.type !== "range") return;
    stop(box);
    draw(box, Number(event.target.value));
  });

  const playing = new Map();
  function stop(box) {
    clearInterval(playing.get(box));
    playing.delete(box);
    const pressed = box.querySelector("[data-tk='play']");
    if (pressed) pressed.textContent = `▶ ${replay(box).data.words.play}`;
  }

  document.addEventListener("click", (event) => {
    const pressed = event.target.closest?.("[data-tk='play']");
    if (!pressed) return;
    const box = pressed.closest(".tk-replay");
    if (playing.has(box)) return stop(box);
    const slider = box.querySelector("input");
    const last = Number(slider.max);
    let step = Number(slider.value) >= last ? 0 : Number(slider.value);
    pressed.textContent = `❚❚ ${replay(box).data.words.pause}`;
    const next = () => {
      if (!box.isConnected || step > last) return stop(box);
      slider.value = step;
      draw(box, step++);
    };
    playing.set(box, setInterval(next, Math.max(60, Math.min(500, 15000 / last))));
    next();
  });
})();
