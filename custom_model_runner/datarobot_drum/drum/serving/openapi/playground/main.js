// The start of the page: theme, key, models and tabs.

const KINDS = {
  binary: (card) => `Tells two classes apart: ${card.labels.join(" and ") || "positive and negative"}`,
  multiclass: (card) => `Picks one of ${card.labels.length || "several"} classes`,
  multilabel: (card) => `Picks any of ${card.labels.length || "several"} labels`,
  regression: (card) => `Predicts a number${card.targetName ? `: ${card.targetName}` : ""}`,
  anomaly: () => "Scores how unusual a row is",
  textgeneration: () => "Generates text",
  agenticworkflow: () => "Runs an agent",
  unstructured: () => "Takes any text or file",
  transform: () => "Transforms rows",
  geopoint: () => "Predicts a place",
  vectordatabase: () => "Searches texts",
};

function startTheme() {
  const button = find("theme");
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (prefers.matches ? "dark" : "light")) === "dark";
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  prefers.addEventListener("change", show);
  show();
}

function askForKey() {
  find("key-form").hidden = false;
  find("key").focus();
}

function startKey() {
  find("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    session.key = find("key").value.trim();
    if (!session.models.length) load();
    else notify(session.key ? "The key is used from now on." : "No key is used.");
  });
}

function notify(...parts) {
  find("notice").replaceChildren(...parts);
}

function retryButton() {
  return element("button", { type: "button", onclick: load }, "Try again");
}

async function load() {
  notify();
  let document;
  try {
    document = await (await send("/playground/models.json", { headers: headersFor() })).json();
  } catch (error) {
    find("subtitle").textContent = "";
    notify(element("div", { class: "stack" }, errorBox(error), error.status === 401 ? null : retryButton()));
    return;
  }
  if (document.state === "loading") {
    find("subtitle").textContent = "The model is loading…";
    setTimeout(load, 1500);
    return;
  }
  if (document.state === "failed") {
    find("title").textContent = document.models[0].name;
    find("subtitle").textContent = "";
    const failure = await send("/health/", { headers: headersFor() }).catch((error) => error);
    notify(element("div", { class: "stack" }, errorBox(failure instanceof Error ? failure : new RequestFailed(REASONS[513])), retryButton()));
    return;
  }
  if (session.key) find("docs-link").hidden = true; // a link sends no key
  session.models = document.models;
  session.isRouted = document.isRouted;
  find("footer").textContent = `Served by datarobot_drum ${document.server}.`;
  const first = Math.max(0, session.models.findIndex((card) => card.name === document.default));
  startChoice(first);
  showModel(session.models[first]);
}

function startChoice(first) {
  find("model-choice").hidden = session.models.length < 2;
  const options = session.models.map((card, position) => element("option", { value: String(position) }, card.name));
  find("model").replaceChildren(...options);
  find("model").value = String(first);
  find("model").onchange = () => showModel(session.models[Number(find("model").value)]);
}

function formsOf(card) {
  const forms = [];
  if (card.methods.chat) forms.push(["Chat", new ChatForm(card)]);
  if (card.methods.completions && !card.methods.chat) forms.push(["Complete", new PromptForm(card, "completion")]);
  if (card.methods.embeddings) forms.push(["Embed", new PromptForm(card, "embedding")]);
  if (card.targetType === "unstructured") forms.push(["Text or file", new TextForm(card)]);
  else if (card.predictsRows || card.targetType === "transform") {
    const row = new RowForm(card);
    forms.push(["One row", row], ["File", new FileForm(card, row)]);
  }
  return forms;
}

function showModel(card) {
  session.model = card;
  showCode(null);
  notify();
  find("title").textContent = card.name;
  document.title = `${card.name} – Playground`;
  find("subtitle").textContent = `${(KINDS[card.targetType] ?? (() => card.targetType))(card)} · version ${card.version}${card.digest ? ` · ${card.digest}` : ""}`;
  const forms = formsOf(card);
  const tabs = forms.map(([name, form], position) => {
    const panel = element("div", { role: "tabpanel", id: newId("panel"), hidden: position > 0 }, form.panel);
    const tab = element("button", {
      type: "button", role: "tab", id: newId("tab"), "aria-controls": panel.id,
      "aria-selected": String(position === 0), tabindex: position === 0 ? null : "-1",
    }, name);
    panel.setAttribute("aria-labelledby", tab.id);
    return { tab, panel };
  });
  find("tabs").replaceChildren(...tabs.map((item) => item.tab));
  find("tabs").hidden = tabs.length < 2;
  find("panels").replaceChildren(...tabs.map((item) => item.panel));
  if (!tabs.length) find("panels").replaceChildren(element("p", { class: "card" }, "This model has no route that this page knows. See the API reference."));
  tabs.forEach((item, position) => {
    item.tab.addEventListener("click", () => select(tabs, position));
    item.tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const next = (position + step + tabs.length) % tabs.length;
      select(tabs, next);
      tabs[next].tab.focus();
    });
  });
}

function select(tabs, chosen) {
  tabs.forEach(({ tab, panel }, position) => {
    tab.setAttribute("aria-selected", String(position === chosen));
    if (position === chosen) tab.removeAttribute("tabindex");
    else tab.setAttribute("tabindex", "-1");
    panel.hidden = position !== chosen;
  });
}

if (document.body.dataset.docs === "yes") {
  find("docs-link").href = `${BASE}/docs`;
  find("docs-link").hidden = false;
}
startTheme();
startKey();
startCode();
load();
