// Runs that outlive the page's connection: each has an id that this window alone knows, and looks for it when it is back.
window.mcJobs = (() => {
  const KEY = "mc-jobs", TRIES = 600, PAUSE_MS = 200, FRESH_MS = 60_000;
  const asked = new Map(); // what each run was asked for with; it lasts as long as the page
  const seeking = new Set();
  const jobs = kept(); // {name of the run: {id, and until it is known to have begun: at, values}}

  // The window's own storage: another window has runs of its own.
  function kept() {
    try {
      const found = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
      return Object.fromEntries(Object.entries(found).filter(([name, job]) => /^[\w-]+$/.test(name) && /^\w{20,64}$/.test(job?.id)));
    } catch {
      return {};
    }
  }

  function keep() {
    const ids = Object.fromEntries(Object.entries(jobs).map(([name, { id }]) => [name, { id }]));
    for (const each of [jobs, ids]) {
      try {
        return sessionStorage.setItem(KEY, JSON.stringify(each));
      } catch {
        // full: the ids alone; and where nothing is kept, the runs are known as long as the page lasts
      }
    }
  }

  // The server marks a run that has begun, and one whose end has been shown.
  function settle() {
    for (const [name, job] of Object.entries(jobs)) {
      const mark = document.querySelector(`#mc-job-${name}-over [data-job="${job.id}"]`);
      if (mark?.dataset.is === "over") (delete jobs[name], asked.delete(name), keep());
      else if (mark && job.values) (delete job.values, delete job.at, keep());
    }
  }

  // crypto.randomUUID is not there without https, as in a classroom.
  const draw = () => [...crypto.getRandomValues(new Uint8Array(20))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  // What a run's handler is called with: first what to do with which id, then the values of the form.
  function call(name, [, ...values], secret) {
    settle();
    const sought = seeking.delete(name), known = asked.get(name), job = jobs[name];
    if (sought && job && !known) {
      // The page was loaded anew, perhaps before the server had heard of the run.
      const fresh = Array.isArray(job.values) && Date.now() - job.at < FRESH_MS;
      return fresh ? [`again ${job.id}`, ...job.values] : [`load ${job.id}`, ...values];
    }
    if (!job || !known || !(sought || JSON.stringify(known) === JSON.stringify(values))) {
      jobs[name] = { id: draw(), ...(values[secret] ? {} : { at: Date.now(), values }) };
      asked.set(name, values);
      keep();
    }
    return [`run ${jobs[name].id}`, ...asked.get(name)];
  }

  function seek(name) {
    seeking.add(name);
    document.getElementById(`mc-job-${name}`)?.click();
  }

  // After a reload: the run's tab is opened, since a tab that was never shown has no buttons yet.
  function comeBack(name, tries = TRIES) {
    if (!jobs[name] || asked.has(name) || !tries) return;
    const covered = !document.getElementById("mc-tabs") || document.querySelector(".main > [data-testid=status-tracker]");
    if (!covered && document.getElementById(`mc-job-${name}`)) return seek(name);
    if (!covered) document.querySelector(`#mc-tabs [data-tab-id="${name.split("-")[0]}"]:not([aria-selected=true])`)?.click();
    setTimeout(comeBack, PAUSE_MS, name, tries - 1);
  }

  const ids = (names) => names.flatMap((name) => jobs[name]?.id ?? []).join(" ");
  const busy = () => Object.keys(jobs).length > 0;
  const awaits = (tab) => Object.keys(jobs).some((name) => name.split("-")[0] === tab);

  new MutationObserver(settle).observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener("mc-back", () => (settle(), Object.keys(jobs).forEach(seek)));
  Object.keys(jobs).forEach((name) => comeBack(name));
  return { call, ids, busy, awaits };
})();
