// Requests to this server, and their errors in plain words.

// A gateway may add a prefix that the server does not know, so all paths start where this page lies.
const BASE = location.origin + location.pathname.replace(/\/+playground\/*$/, "");

const session = { key: "", models: [], model: null, isRouted: false };

class RequestFailed extends Error {
  constructor(title, detail = "", status = 0) {
    super(title);
    this.detail = detail;
    this.status = status;
  }
}

const REASONS = {
  400: "The server does not understand this request.",
  401: "This server needs an API key.",
  403: "You are not allowed to use this model.",
  404: "The server does not have this.",
  408: "The data arrived too slowly.",
  413: "This is more data than the server accepts.",
  415: "The server does not read this kind of data.",
  422: "The model cannot use this input.",
  429: "Too many requests in a short time.",
  500: "The model failed on this input.",
  502: "The service behind the model does not respond.",
  503: "The server is busy or not ready.",
  504: "The model took too long.",
  513: "The model failed to load.",
};

function headersFor(extra = {}) {
  return {
    ...extra,
    ...(session.isRouted && session.model ? { "X-Drum-Model": session.model.name } : {}),
    ...(session.key ? { Authorization: `Bearer ${session.key}` } : {}),
  };
}

// Header values are Latin-1 in a browser; another name of a model cannot be sent.
async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(BASE + path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestFailed(
      "The server does not respond.",
      "It may have stopped, or the network is interrupted. Your input is still here: try again later.",
    );
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

async function failureOf(response) {
  let detail = "";
  try {
    const text = await response.text();
    detail = text.slice(0, 2000);
    const document = JSON.parse(text);
    const found = document.message ?? document.error?.message ?? document.error ?? document.reason ?? document.detail;
    if (found !== undefined) detail = typeof found === "string" ? found : JSON.stringify(found);
  } catch {
    // the text itself is shown
  }
  detail = detail.replace(/^ERROR: /, "");
  const wait = response.headers.get("Retry-After");
  const advice = wait && /^\d+$/.test(wait) ? ` Try again in ${wait} s.` : "";
  const title = REASONS[response.status] ?? `The server responded with status ${response.status}.`;
  if (response.status === 401) askForKey();
  return new RequestFailed(title + advice, detail, response.status);
}

function errorBox(error) {
  const title = error instanceof RequestFailed ? error.message : "This page failed.";
  const detail = error instanceof RequestFailed ? error.detail : String(error);
  return element(
    "div",
    { class: "error" },
    element("p", {}, element("strong", {}, title)),
    detail ? element("p", {}, detail) : null,
  );
}

// Sends a body, shows it as code, and returns the response with the time of the first byte.
async function post(path, body, { contentType, accept = "", signal, streams = false, isText = false, fileName }) {
  const started = performance.now();
  showCode({
    url: BASE + path, body: typeof body === "string" ? body : "", fileName, contentType, accept, streams, isText,
    model: session.isRouted && session.model ? session.model.name : "", hasKey: session.key !== "",
  });
  const headers = headersFor({ "Content-Type": contentType, ...(accept ? { Accept: accept } : {}) });
  const response = await send(path, { method: "POST", body, headers, signal }).catch((error) => explain(error, body));
  return { response, elapsed: () => formatDuration(performance.now() - started) };
}

// A browser does not send a file that has changed since it was chosen.
async function explain(error, body) {
  if (error instanceof RequestFailed && error.status === 0 && body instanceof Blob) {
    try {
      await body.slice(0, 1).arrayBuffer();
    } catch {
      throw new RequestFailed("The file cannot be read.", "It has changed or moved since you chose it. Choose it again.");
    }
  }
  throw error;
}

// Yields the data of server-sent events.
async function* readEvents(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const events = text.split(/\r\n\r\n|\n\n|\r\r/);
      text = done ? "" : events.pop();
      for (const event of events) {
        const data = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith("data:"));
        if (data.length) yield data.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
      }
      if (done) return;
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestFailed("The response ended early.", "The server may have stopped, or the network is interrupted.");
  }
}
