// A chat with a model, streamed as OpenAI's interface has it.

class ChatForm {
  constructor(card) {
    this.card = card;
    this.messages = [];
    this.log = element("div", { class: "messages", role: "log", "aria-live": "off", "aria-label": "Conversation", tabindex: "0" });
    this.text = element("textarea", { rows: "3", placeholder: "Write a message" });
    this.system = element("textarea", { rows: "2" });
    this.submit = element("button", { type: "submit" }, "Send");
    this.stop = element("button", { type: "button", class: "quiet", disabled: true, onclick: () => this.abort?.abort() }, "Stop");
    this.clear = element("button", { type: "button", class: "quiet", onclick: () => this.reset() }, "New chat");
    this.status = element("p", { class: "hint", role: "status" });
    this.spoken = element("p", { class: "hidden", role: "status" });
    this.problem = element("div", { role: "alert" });
    this.form = element("form", { class: "stack", onsubmit: (event) => this.send(event) },
      labelled("Message", this.text, "Enter sends, Shift+Enter starts a line"),
      element("div", { class: "line" }, this.submit, this.stop, this.clear),
      element("details", {}, element("summary", {}, "Instructions"), labelled("How the model should respond", this.system, "sent as the system message")));
    this.text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    this.panel = element("section", { class: "card stack", "aria-label": "Chat" }, this.log, this.problem, this.status, this.spoken, this.form);
    const sample = (card.sampleRequest?.messages ?? []).findLast((message) => message.role === "user")?.content;
    this.text.value = typeof sample === "string" ? sample : "";
    this.reset();
  }

  reset() {
    this.abort?.abort();
    this.messages = [];
    this.log.replaceChildren(element("p", { class: "hint" }, "No messages yet."));
    this.problem.replaceChildren();
    this.status.textContent = "";
  }

  bubble(role, text) {
    const content = element("span", {}, text);
    this.log.append(element("div", { class: `message ${role}` }, element("span", { class: "who" }, role === "user" ? "You" : "Model"), content));
    this.log.scrollTop = this.log.scrollHeight;
    return content;
  }

  async send(event) {
    event.preventDefault();
    const text = this.text.value.trim();
    if (!text || this.submit.disabled) return;
    if (!this.messages.length) this.log.replaceChildren();
    this.text.value = "";
    this.problem.replaceChildren();
    const asked = { role: "user", content: text };
    this.messages.push(asked);
    this.bubble("user", text);
    const reply = this.bubble("assistant", "…");
    this.busy(true);
    const state = { text: "", started: performance.now(), first: null };
    this.abort = new AbortController();
    try {
      await this.receive(reply, state, this.abort.signal);
      this.finish(reply, state, `Response in ${formatDuration(performance.now() - state.started)}`);
    } catch (error) {
      if (error.name === "AbortError") this.finish(reply, state, "Stopped");
      else this.fail(error, asked, reply, state);
    } finally {
      this.busy(false);
    }
  }

  async receive(reply, state, signal) {
    const system = this.system.value.trim();
    const document = {
      ...(typeof this.card.sampleRequest?.model === "string" && !session.isRouted ? { model: this.card.sampleRequest.model } : {}),
      messages: [...(system ? [{ role: "system", content: system }] : []), ...this.messages],
      stream: true,
    };
    const { response } = await post("/v1/chat/completions", JSON.stringify(document), { contentType: "application/json", streams: true, signal });
    const show = (text) => {
      if (!text) return;
      state.first = state.first ?? performance.now() - state.started;
      state.text += text;
      reply.textContent = state.text;
      this.log.scrollTop = this.log.scrollHeight;
    };
    if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
      show((await response.json()).choices?.[0]?.message?.content ?? "");
      return;
    }
    await eachChunk(response, (chunk) => show(chunk.choices?.[0]?.delta?.content));
  }

  finish(reply, state, words) {
    if (state.text) this.messages.push({ role: "assistant", content: state.text });
    else reply.textContent = "(no text)";
    const first = state.first === null ? "" : `, first words after ${formatDuration(state.first)}`;
    this.status.textContent = `${words}${first}.`;
    this.spoken.textContent = `Model: ${state.text}`;
  }

  // Keeps what arrived; without any, the message returns to its field.
  fail(error, asked, reply, state) {
    this.problem.replaceChildren(errorBox(error));
    this.status.textContent = "";
    if (state.text) {
      this.messages.push({ role: "assistant", content: state.text });
      return;
    }
    reply.parentElement.previousElementSibling.remove();
    reply.parentElement.remove();
    this.messages.splice(this.messages.indexOf(asked), 1);
    this.text.value = this.text.value || asked.content;
  }

  busy(isBusy) {
    this.submit.disabled = isBusy;
    this.stop.disabled = !isBusy;
    this.log.setAttribute("aria-busy", String(isBusy));
    if (isBusy) this.status.textContent = "The model responds…";
    else if (document.activeElement === document.body || document.activeElement === this.stop) this.text.focus();
  }
}

// Calls `use` with each chunk of a streamed completion.
async function eachChunk(response, use) {
  for await (const data of readEvents(response)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new RequestFailed("The model failed while it responded.", chunk.error.message ?? JSON.stringify(chunk.error));
    use(chunk);
  }
}
