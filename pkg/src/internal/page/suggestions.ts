// What is meant by names that other libraries have for the same things.

/** For options and for some of their values: diffusers' and the web UIs' names, without regard to case and punctuation. */
const others: Partial<Record<string, Record<string, string>>> = {
  options: {
    numinferencesteps: "steps",
    samplingsteps: "steps",
    numsteps: "steps",
    negative: "negativePrompt",
    guidancescale: "guidance",
    cfgscale: "guidance",
    cfg: "guidance",
    image: "init",
    initimage: "init",
    initimages: "init",
    inputimage: "init",
    maskimage: "mask",
    denoisingstrength: "strength",
    denoise: "strength",
    generator: "seed",
    manualseed: "seed",
    samplername: "sampler",
    samplerindex: "sampler",
    samplermethod: "sampler",
    scheduler: "sampler",
    numimagesperprompt: "count",
    batchsize: "count",
    batchcount: "count",
    niter: "count",
    latents: "noise",
    controlimage: "control",
    controlnetconditioningscale: "controlScale",
    controlweight: "controlScale",
    controlguidancestart: "controlStart",
    controlguidanceend: "controlEnd",
    clipstopatlastlayers: "clipSkip",
    enablehr: "hires",
    hrscale: "hires",
    subseed: "variation",
    subseedstrength: "variation",
    fgprompt: "foregroundPrompt",
    bgprompt: "backgroundPrompt",
    callback: "onProgress",
    callbackonstepend: "onProgress",
    progresscallback: "onProgress",
    progress: "onProgress",
    callbacksteps: "previewEvery",
    abortsignal: "signal",
    modelid: "model",
    modelpath: "model",
    pretrainedmodelnameorpath: "model",
    backend: "device",
    executionproviders: "device",
    quantization: "quantize",
    dtype: "quantize",
    lora: "loras",
    weight: "strength",
    scale: "strength",
    multiplier: "strength",
    textualinversion: "embeddings",
  },
  sampler: {
    dpmpp2m: "dpmpp-2m-karras",
    "dpm++2m": "dpmpp-2m-karras",
    "dpm++2mkarras": "dpmpp-2m-karras",
    dpmsolvermultistepscheduler: "dpmpp-2m-karras",
    dpmsolver: "dpmpp-2m-karras",
    eulerdiscretescheduler: "euler",
    eulerancestral: "euler-a",
    eulerancestraldiscretescheduler: "euler-a",
    ddimscheduler: "ddim",
    unipcmultistepscheduler: "unipc",
    unipcmultistep: "unipc",
    lcmscheduler: "lcm",
    tcdscheduler: "tcd",
  },
  settings: {
    alpha: "opacity",
    angle: "rotate",
    rotation: "rotate",
    blendmode: "blend",
    mixblendmode: "blend",
    globalcompositeoperation: "operator",
    composite: "operator",
    left: "x",
    top: "y",
    scalex: "scale",
    scaley: "scale",
    zoom: "scale",
    flipx: "flip",
    mirror: "flip",
    hidden: "visible",
    title: "name",
  },
  mode: { transparent: "single", txt2img: "single", texttoimage: "single", img2img: "single", all: "joint" },
  device: { gpu: "webgpu", wasm: "cpu", cuda: "webgpu", webnn: "webgpu", webassembly: "cpu" },
};

/** Package files are not an engine's to find: they have a call of their own. */
const assetOptions = new Set(["assets", "wasmpaths", "wasmpath", "wasmurl", "workerurl", "workerpath", "publicpath", "locatefile", "basepath", "baseurl"]);

/** What somebody who wrote `name` probably meant of `known`, as a sentence. */
export function suggestion(name: string, known: readonly string[], kind: string): string | undefined {
  const plain = plainly(name);
  if (kind === "options" && assetOptions.has(plain)) {
    return "Where the package's files are is said once, before anything else: configure({ assets }).";
  }
  if (kind === "options" && plain === "model" && !known.includes("model")) {
    return "The model is createEngine's: a recipe's says which one made it. Leave it out here.";
  }
  const same = known.find((word) => plainly(word) === plain);
  const meant = same ?? others[kind]?.[plain] ?? nearest(plain, known);
  return meant !== undefined && known.includes(meant) ? `Did you mean ${kind === "options" || kind === "settings" ? meant : `"${meant}"`}?` : undefined;
}

function plainly(word: string): string {
  return word.toLowerCase().replace(/[^a-z\d+]/g, "");
}

/** The word that two slips or fewer make of it, in short words one. */
function nearest(plain: string, known: readonly string[]): string | undefined {
  const most = plain.length > 4 ? 2 : 1;
  // Of the shortest words everything short is a slip.
  const distances = known.filter((word) => word.length > 2).map((word) => ({ word, distance: distance(plain, plainly(word)) }));
  const [best] = distances.sort((a, b) => a.distance - b.distance);
  return best && best.distance <= most ? best.word : undefined;
}

/** How many letters have to be changed, added or left out. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (letter === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
