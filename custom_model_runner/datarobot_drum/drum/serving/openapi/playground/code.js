// The last request as a curl command and as a Python script.

const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// JSON's escapes are those of Python, except for characters that editors hide.
const pythonText = (text) =>
  JSON.stringify(text).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const MAX_CODE = 4000;

// A body longer than a screen is read from a file, whose name stands in the code.
function bodyOf(request) {
  if (request.fileName !== undefined) return { file: request.fileName };
  return request.body.length > MAX_CODE ? { file: "body.json" } : { text: request.body };
}

function headersOf(request) {
  return Object.entries({
    "Content-Type": request.contentType,
    ...(request.accept ? { Accept: request.accept } : {}),
    ...(request.model ? { "X-Drum-Model": request.model } : {}),
  });
}

function curlCode(request) {
  const body = bodyOf(request);
  const lines = [`curl ${request.streams ? "-N " : ""}-X POST ${shellQuoted(request.url)}`];
  for (const [name, value] of headersOf(request)) lines.push(`-H ${shellQuoted(`${name}: ${value}`)}`);
  if (request.hasKey) lines.push('-H "Authorization: Bearer $API_KEY"');
  lines.push(`--data-binary ${shellQuoted(body.file === undefined ? body.text : `@${body.file}`)}`);
  return lines.join(" \\\n  ");
}

function pythonCode(request) {
  const body = bodyOf(request);
  const headers = headersOf(request).map(([name, value]) => `    ${pythonText(name)}: ${pythonText(value)},`);
  if (request.hasKey) headers.push('    "Authorization": "Bearer " + os.environ["API_KEY"],');
  const data = body.file === undefined ? `${pythonText(body.text)}.encode()` : `open(${pythonText(body.file)}, "rb")`;
  return [
    ...(request.hasKey ? ["import os", ""] : []),
    "import requests",
    "",
    `url = ${pythonText(request.url)}`,
    "headers = {",
    ...headers,
    "}",
    `data = ${data}`,
    `response = requests.post(url, data=data, headers=headers${request.streams ? ", stream=True" : ""})`,
    "response.raise_for_status()",
    ...(request.streams
      ? ["for line in response.iter_lines():", "    print(line.decode())"]
      : [request.isText ? "print(response.text)" : "print(response.json())"]),
  ].join("\n");
}

const code = { request: null, language: "curl" };

function showCode(request) {
  code.request = request;
  find("code").hidden = request === null;
  find("copied").textContent = "";
  if (request === null) return;
  find("code-text").textContent = (code.language === "curl" ? curlCode : pythonCode)(request);
}

function startCode() {
  const buttons = [...document.querySelectorAll("[data-language]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      code.language = button.dataset.language;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      showCode(code.request);
    });
  }
  find("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(find("code-text").textContent);
      find("copied").textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(find("code-text"));
      find("copied").textContent = "Selected: press Ctrl+C to copy.";
    }
  });
}
