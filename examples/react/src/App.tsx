import type { GlassineError } from "glassine";
import { useRef, useState } from "react";
import { useEngine } from "./useEngine.ts";

export function App() {
  const { engine, error } = useEngine("mini");
  const [prompt, setPrompt] = useState("a red apple");
  const [status, setStatus] = useState("Ready");
  const [picture, setPicture] = useState<string>();
  const request = useRef<AbortController>(undefined);

  async function generate() {
    request.current?.abort();
    const { signal } = (request.current = new AbortController());
    try {
      const { layers } = await engine!.generate({
        prompt,
        signal,
        onProgress: (progress) =>
          progress.phase === "denoising" &&
          setStatus(`Step ${progress.step} of ${progress.steps}`),
      });
      setPicture(await layers[0].toDataURL());
      setStatus("Done");
    } catch (reason) {
      const { code, message, hint } = reason as GlassineError;
      if (code !== "aborted") setStatus(`${message}. ${hint}`);
    }
  }

  return (
    <main>
      <h1>React</h1>
      <label>
        Prompt{" "}
        <input value={prompt} onChange={(event) => setPrompt(event.target.value)} />
      </label>
      <button disabled={!engine} onClick={generate}>
        Generate
      </button>
      <p role="status">
        {error
          ? `${error.message}. ${error.hint}`
          : engine
            ? status
            : "Loading the model"}
      </p>
      <div id="result">{picture && <img src={picture} alt={prompt} />}</div>
    </main>
  );
}
