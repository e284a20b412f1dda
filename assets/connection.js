// A connection that breaks costs no page: requests wait until it is back, and what was being watched is looked for again.
// Without this, gradio loads the page anew and what was typed is lost.
(() => {
  const rule = document.querySelector("meta[name=mc-connection]");
  const QUEUED = /\/gradio_api\/(queue\/(join|data)|run\/.*|cancel|reset)$/;
  const PAUSE_MS = 300, MOST_MS = 2_000, PATIENCE_MS = 5_000, NOTICE_MS = 800;
  // Looks without a word. The server says something every 15 s; of a run that is watched, every 5 s (tabs/_jobs.py).
  const LOOK_MS = 5_000, MOST_SILENT = 9, HEARTBEAT = '{"msg":"heartbeat"';
  // What gradio is told of the events whose answers will not come: they are over, and gave nothing.
  const OVER = '{"msg":"process_completed","output":{"data":[]},"success":true}';
  const ENDED = `data: ${OVER}\n\ndata: {"msg":"close_stream"}\n\n`;
  const plain = window.fetch.bind(window);
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const said = (name) => rule?.dataset[`${name}${document.documentElement.lang === "ko" ? "Ko" : "En"}`] ?? "";
  let away = null; // the promise of a connection that is back
  let cut = null; // the address of the stream that broke
  let leaving = false;
  let waiting = []; // lines that say "working" of runs which broke off

  window.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    if (url.origin !== location.origin || !QUEUED.test(url.pathname)) return plain(input, init);
    const signal = input instanceof Request ? input.signal : init?.signal;
    const listens = url.pathname.endsWith("/queue/data");
    if (url.pathname.endsWith("/queue/join")) mend();
    for (;;) {
      try {
        const response = await plain(input instanceof Request ? input.clone() : input, init);
        return listens && response.ok ? followed(response, url, signal) : response;
      } catch (error) {
        if (signal?.aborted || leaving) throw error;
        if (listens) return broken(url), new Response(ENDED, { headers: { "content-type": "text/event-stream" } });
        await back(url);
      }
    }
  };

  // Pass on whole messages; when no more come before the stream was closed, end what it was about.
  function followed(response, url, signal) {
    const reader = response.body.getReader(), decoder = new TextDecoder(), encoder = new TextEncoder();
    let held = "", closed = false, silent = 0;
    // A connection may die without a word; a machine that slept has not listened.
    const guard = setInterval(() => ++silent > MOST_SILENT && reader.cancel().catch(() => {}), LOOK_MS);
    async function pull(controller) {
      try {
        for (let told = ""; !told; ) {
          const { done, value } = await reader.read();
          if (done) break;
          const part = decoder.decode(value, { stream: true });
          if (!part.includes(HEARTBEAT) || !window.mcJobs?.busy()) silent = 0;
          held += part;
          const end = held.lastIndexOf("\n\n") + 1;
          if (!end) continue;
          told = held.slice(0, end + 1);
          held = held.slice(end + 1);
          if (told.includes('"msg":"unexpected_error"')) break; // it knows this page's events no more
          closed ||= told.includes('"msg":"close_stream"');
          return controller.enqueue(encoder.encode(told));
        }
      } catch (error) {
        if (signal?.aborted || leaving) return clearInterval(guard), controller.error(error);
      }
      clearInterval(guard);
      reader.cancel().catch(() => {});
      if (!closed) {
        controller.enqueue(encoder.encode(ENDED));
        broken(url);
      }
      controller.close();
    }
    const body = new ReadableStream({ pull, cancel: (reason) => (clearInterval(guard), reader.cancel(reason)) });
    return new Response(body, { status: response.status, headers: response.headers });
  }

  function broken(url) {
    cut = url;
    waiting = [...document.querySelectorAll(".mc-wait")];
    back(url);
  }

  // Wait until the server answers again, and tell the page.
  function back(url) {
    away ??= (async () => {
      const notice = setTimeout(show, NOTICE_MS);
      const asks = url.origin + url.pathname.replace(/\/gradio_api\/.*/, "/gradio_api/app_id");
      for (let ms = PAUSE_MS; ; ms = Math.min(MOST_MS, ms * 1.5)) {
        await Promise.race([pause(ms), new Promise((done) => window.addEventListener("online", done, { once: true }))]);
        try {
          const answer = await plain(asks, { cache: "no-store", signal: AbortSignal.timeout?.(PATIENCE_MS) });
          if (!answer.ok) continue;
          // A server that was started anew knows nothing of this page.
          if ((await answer.json()).app_id !== window.gradio_config?.app_id) return location.reload(), new Promise(() => {});
          // The server may not have noticed that nobody listens there: tabs/_streams.py.
          if (cut) await plain(cut.href.replace("/queue/data", "/queue/hang_up"), { method: "POST" });
          cut = null;
          break;
        } catch {
          // not yet
        }
      }
      clearTimeout(notice);
      document.getElementById("mc-connection")?.remove();
      away = null;
      document.dispatchEvent(new Event("mc-back"));
      setTimeout(tell, PAUSE_MS);
    })();
    return away;
  }

  function show() {
    const line = Object.assign(document.createElement("p"), { id: "mc-connection", textContent: said("lost") });
    line.setAttribute("role", "status");
    document.body.append(line);
  }

  // A quick run has no id to find it by: its line says that it broke off, until the next run.
  function tell() {
    const tab = (line) => line.closest("[role=tabpanel]")?.querySelector("[id^=mc-job-]")?.id.split("-")[2];
    const lost = (line) => line.isConnected && !window.mcJobs?.awaits(tab(line));
    waiting = waiting.filter(lost).map((line) => [line, line.textContent]);
    for (const [line] of waiting) line.textContent = said("broke_off");
  }

  function mend() {
    const seen = (each) => Array.isArray(each) && each[0].offsetParent;
    for (const [line, text] of waiting.filter(seen)) line.textContent = text;
    waiting = waiting.filter((each) => !seen(each));
  }

  window.addEventListener("pagehide", () => (leaving = true));
  window.addEventListener("pageshow", () => (leaving = false));
})();
