import { createEngine, type Engine, type GlassineError } from "glassine";
import { useEffect, useState } from "react";

/**
 * An engine for as long as the component is mounted. StrictMode mounts twice in
 * development: the first engine is let go of.
 */
export function useEngine(model: string): { engine?: Engine; error?: GlassineError } {
  const [state, setState] = useState<{ engine?: Engine; error?: GlassineError }>({});
  useEffect(() => {
    const controller = new AbortController();
    const loading = createEngine({ model, signal: controller.signal });
    loading.then(
      (engine) => setState({ engine }),
      (error) => error.code === "aborted" || setState({ error }),
    );
    return () => {
      controller.abort();
      setState({});
      loading.then(
        (engine) => engine.dispose(),
        () => {},
      );
    };
  }, [model]);
  return state;
}
