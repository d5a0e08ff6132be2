// Three ways to layers that fit each other, by the adapters that the built-in model has and packs may hold.

import {
  createEngine,
  type Engine,
  GlassineError,
  type Layer,
  type Mode,
  Scene,
} from "glassine";
import { figure, onSubmit, say } from "../page.ts";

// #region check
/** Loads a model that can do what is needed, or says what it lacks. */
async function load(model: string, needed: Mode[]): Promise<Engine> {
  const engine = await createEngine({ model, onProgress: say });
  const lacking = needed.find((mode) => !engine.info.modes.includes(mode));
  if (lacking === undefined) return engine;
  await engine.dispose();
  throw new GlassineError(
    "unsupported_mode",
    `${engine.info.name} has no mode "${lacking}"`,
    { hint: engine.info.missing[lacking] },
  );
}
// #endregion

type Wishes = {
  size: number;
  background: string;
  foreground: string;
  another: string;
};

const ways: Record<
  string,
  { needs: Mode[]; build: (engine: Engine, wishes: Wishes) => Promise<Scene> }
> = {
  oneByOne: { needs: ["bg2fg"], build: oneByOne },
  together: { needs: ["joint"], build: together },
  behind: { needs: ["single", "fg2bg"], build: behind },
};

// #region one-by-one
/** A background first, then one thing after the other on top: mode bg2fg. */
async function oneByOne(
  engine: Engine,
  { size, background, foreground, another }: Wishes,
): Promise<Scene> {
  const scene = new Scene(size, size);
  await engine.addLayer(scene, {
    prompt: background,
    where: "behind",
    onProgress: say,
  });
  await engine.addLayer(scene, { prompt: foreground, onProgress: say });
  await engine.addLayer(scene, { prompt: another, onProgress: say });
  return scene;
}
// #endregion

// #region together
/** Foreground and background in one request, and both blended: mode joint. */
async function together(
  engine: Engine,
  { size, background, foreground }: Wishes,
): Promise<Scene> {
  const { layers } = await engine.generate({
    mode: "joint",
    width: size,
    height: size,
    prompt: "",
    foregroundPrompt: foreground,
    backgroundPrompt: background,
    blendedPrompt: `${foreground}, ${background}`,
    onProgress: say,
  });
  const scene = new Scene(size, size);
  for (const role of ["background", "foreground"]) {
    scene.add(
      layers.find((layer) => layer.role === role)!,
      { name: role },
    );
  }
  return scene;
}
// #endregion

// #region behind
/** A thing first, then a background that it can stand before: mode fg2bg. */
async function behind(
  engine: Engine,
  { size, background, foreground }: Wishes,
): Promise<Scene> {
  const scene = new Scene(size, size);
  await engine.addLayer(scene, { prompt: foreground, onProgress: say });
  await engine.addLayer(scene, {
    prompt: background,
    where: "behind",
    onProgress: say,
  });
  return scene;
}
// #endregion

onSubmit(async (fields) => {
  const { model, way, size, ...prompts } = Object.fromEntries(fields) as Record<
    string,
    string
  >;
  const { needs, build } = ways[way!]!;
  const engine = await load(model!, needs);
  const side = Number(size) || engine.info.defaults.width;
  const scene = await build(engine, { size: side, ...prompts } as Wishes);
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
  const pictures = [...scene.images].map(async ([path, layer]) =>
    figure(path, await (layer as Layer).toBlob()),
  );
  return [
    figure("The scene", files["scene.png"], files),
    ...(await Promise.all(pictures)),
  ];
});
