// Three ways to layers that fit each other, for models whose packs hold LayerDiffuse's adapters.

import { createEngine, type Engine, GlassineError, type Layer, type Mode, Scene } from "glassine";
import { figure, onSubmit, say } from "../page.ts";

// #region check
/** Loads a model that can do what is needed, or says what it lacks. */
async function load(model: string, needed: Mode[]): Promise<Engine> {
  const engine = await createEngine({ model, onProgress: say });
  const lacking = needed.find((mode) => !engine.info.modes.includes(mode));
  if (lacking === undefined) return engine;
  await engine.dispose();
  throw new GlassineError("unsupported_mode", `${engine.info.name} has no mode "${lacking}"`, { hint: engine.info.missing[lacking] });
}
// #endregion

type Prompts = { background: string; foreground: string; another: string };

const ways: Record<string, { needs: Mode[]; build: (engine: Engine, prompts: Prompts) => Promise<Scene> }> = {
  oneByOne: { needs: ["bg2fg"], build: oneByOne },
  together: { needs: ["joint"], build: together },
  behind: { needs: ["single", "fg2bg"], build: behind },
};

// #region one-by-one
/** A background first, then one thing after the other on top of all that is there: mode bg2fg. */
async function oneByOne(engine: Engine, { background, foreground, another }: Prompts): Promise<Scene> {
  const { width, height } = engine.info.defaults;
  const scene = new Scene(width, height);
  await engine.addLayer(scene, { prompt: background, where: "behind", onProgress: say });
  await engine.addLayer(scene, { prompt: foreground, onProgress: say });
  await engine.addLayer(scene, { prompt: another, onProgress: say });
  return scene;
}
// #endregion

// #region together
/** Foreground and background in one request, and both blended, as the model sees them: mode joint. */
async function together(engine: Engine, { background, foreground }: Prompts): Promise<Scene> {
  const { layers } = await engine.generate({
    mode: "joint",
    prompt: "",
    foregroundPrompt: foreground,
    backgroundPrompt: background,
    blendedPrompt: `${foreground}, ${background}`,
    onProgress: say,
  });
  const scene = new Scene(layers[0].width, layers[0].height);
  for (const role of ["background", "foreground"]) {
    scene.add(layers.find((layer) => layer.role === role)!, { name: role });
  }
  return scene;
}
// #endregion

// #region behind
/** A thing first, then a background that it can stand before: mode fg2bg. */
async function behind(engine: Engine, { background, foreground }: Prompts): Promise<Scene> {
  const { width, height } = engine.info.defaults;
  const scene = new Scene(width, height);
  await engine.addLayer(scene, { prompt: foreground, onProgress: say });
  await engine.addLayer(scene, { prompt: background, where: "behind", onProgress: say });
  return scene;
}
// #endregion

onSubmit(async (fields) => {
  const { model, way, ...prompts } = Object.fromEntries(fields) as Prompts & { model: string; way: string };
  const { needs, build } = ways[way]!;
  const engine = await load(model, needs);
  const scene = await build(engine, prompts);
  await engine.dispose();

  // #region save
  const files = {
    "scene.png": await (await scene.flatten()).toBlob(),
    "scene.ora": await scene.toOra(),
    "scene.psd": await scene.toPsd(),
    "scene.json": new Blob([JSON.stringify(scene, null, 2)]),
  };
  scene.dispose();
  // #endregion
  const pictures = [...scene.images].map(async ([path, layer]) => figure(path, await (layer as Layer).toBlob()));
  return [figure("The scene", files["scene.png"], files), ...(await Promise.all(pictures))];
});
