const live = new Map(); let id = 0; let bytes = 0, peak = 0, snap = null; const rec = new WeakMap();
const fr = new FinalizationRegistry((r) => { if (live.delete(r.id)) bytes -= r.size; });
const C = GPUDevice.prototype.createBuffer;
GPUDevice.prototype.createBuffer = function (d) { const b = C.call(this, d); const r = { id: id++, size: b.size, usage: b.usage }; rec.set(b, r); fr.register(b, r); live.set(r.id, r); bytes += r.size; if (bytes > peak) { peak = bytes; snap = [...live.values()].map((x) => x.size); } return b; };
const D = GPUBuffer.prototype.destroy; GPUBuffer.prototype.destroy = function () { const r = rec.get(this); if (live.delete(r.id)) bytes -= r.size; return D.call(this); };
self.hist = () => { const h = {}; for (const s of snap) h[s] = (h[s] ?? 0) + 1; return { peak, h }; };
