"use client";

import { createEngine } from "glassine";
import { useEffect, useState } from "react";

/** A picture that is made where the page is shown. */
export function Picture({ prompt }) {
  const [status, setStatus] = useState("Loading");
  const [picture, setPicture] = useState();

  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const loading = createEngine({ model: "mini", signal });
    loading
      .then((engine) => engine.generate({ prompt, signal }))
      .then(({ layers }) => layers[0].toDataURL())
      .then(setPicture)
      .then(() => setStatus("Done"))
      .catch(
        (error) =>
          error.code === "aborted" || setStatus(`${error.message}. ${error.hint}`),
      );
    return () => {
      controller.abort();
      loading.then(
        (engine) => engine.dispose(),
        () => {},
      );
    };
  }, [prompt]);

  return (
    <>
      <p role="status">{status}</p>
      <div id="result">{picture && <img src={picture} alt={prompt} />}</div>
    </>
  );
}
