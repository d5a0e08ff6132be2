// Checks that a file is an RGBA PNG with clear and with opaque areas.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { PNG } from "pngjs";

const { width, height, colorType, data } = PNG.sync.read(readFileSync(process.argv[2]));
const alphas = data.filter((_, i) => i % 4 === 3);
const share = (test) => alphas.filter(test).length / alphas.length;
const clear = share((alpha) => alpha < 16);
const opaque = share((alpha) => alpha > 239);

assert.equal(colorType, 6, "the PNG has an alpha channel");
assert.ok(clear > 0.02, `some of it is clear: ${clear}`);
assert.ok(opaque > 0.02, `some of it is opaque: ${opaque}`);
console.log(`${width} x ${height}, ${(clear * 100).toFixed(0)} % clear, ${(opaque * 100).toFixed(0)} % opaque`);
