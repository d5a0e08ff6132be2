// WebKitGTK's MiniBrowser, by WebDriver, in a display of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";

const libraries = "/usr/lib/x86_64-linux-gnu";

function findMiniBrowser() {
  const folders = existsSync(libraries) ? readdirSync(libraries).filter((name) => /^webkit2?gtk-/.test(name)) : [];
  return folders.map((name) => `${libraries}/${name}/MiniBrowser`).find((path) => existsSync(path));
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function launchWebKit() {
  const [driver, binary] = ["/usr/bin/WebKitWebDriver", findMiniBrowser()];
  if (!existsSync(driver) || !binary || !existsSync("/usr/bin/xvfb-run")) {
    throw new Error("no WebKitGTK: install webkit2gtk-driver, xvfb and xauth");
  }
  const port = await freePort();
  const child = spawn("xvfb-run", ["-a", driver, `--port=${port}`], {
    stdio: "ignore",
    detached: true,
    env: { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1", LIBGL_ALWAYS_SOFTWARE: "1" },
  });
  const stop = () => process.kill(-child.pid);
  process.once("exit", stop);

  const ask = async (method, path, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  };
  await answers(() => ask("GET", "/status"));
  const options = { binary, args: ["--automation"] };
  const { sessionId, capabilities } = await ask("POST", "/session", {
    capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options, timeouts: { script: 600_000, pageLoad: 60_000 } } },
  });
  const session = `/session/${sessionId}`;
  return {
    name: `${capabilities.browserName} ${capabilities.browserVersion}`,
    newPage: async () => page((method, path, body) => ask(method, session + path, body)),
    async close() {
      await ask("DELETE", session).catch(() => {});
      process.off("exit", stop);
      stop();
    },
  };
}

/** Waits until the driver answers at all. */
async function answers(request) {
  for (;;) {
    try {
      return await request();
    } catch (error) {
      if (error.cause?.code !== "ECONNREFUSED") throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** The session's only window, as a page. */
const page = (ask) => ({
  goto: (url) => ask("POST", "/url", { url }),
  async evaluate(work, ...args) {
    const script = `
      const [args, done] = arguments;
      Promise.resolve((${work})(...args)).then(
        (value) => done({ value: JSON.stringify(value) }),
        (error) => done({ error: String(error) }),
      );`;
    const { value, error } = await ask("POST", "/execute/async", { script, args: [args] });
    if (error) throw new Error(error);
    return value === undefined || value === null ? undefined : JSON.parse(value);
  },
  close: async () => {},
});
