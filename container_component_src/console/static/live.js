// The connection to the server: the first state, then the changes as server-sent events.

const SOON = 3000; // milliseconds

export function connect({ onState, onChange, onConnection }) {
  let source = null;

  async function load() {
    try {
      const answer = await fetch("api/state", { headers: { accept: "application/json" } });
      if (answer.status === 401) {
        location.assign("login");
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const state = await answer.json();
      onState(state);
      listen(state.last_event);
    } catch {
      onConnection("waiting");
      setTimeout(load, SOON);
    }
  }

  function listen(last) {
    source?.close();
    source = new EventSource(`api/events?after=${encodeURIComponent(last)}`);
    source.addEventListener("open", () => onConnection("live"));
    source.addEventListener("error", () => {
      onConnection("waiting");
      if (source.readyState === EventSource.CLOSED) setTimeout(load, SOON); // refused, such as after the end of a session
    });
    source.addEventListener("reset", load);
    for (const name of ["alarms", "verdicts", "verdict", "drift", "dead", "problems"]) {
      source.addEventListener(name, (event) => onChange(name, JSON.parse(event.data)));
    }
  }

  load();
}

export async function sendVerdict(alarm, verdict) {
  const answer = await fetch(`api/alarms/${encodeURIComponent(alarm)}/verdict`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(verdict),
  });
  return answered(answer);
}

export async function readSeries(alarm, signal) {
  return answered(await fetch(`api/alarms/${encodeURIComponent(alarm)}/series`, { signal }));
}

async function answered(answer) {
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.problem ?? `the server answers ${answer.status}`);
  return content;
}
