"""Shared training loop parts: several one-threaded workers, resumable state, EMA, a schedule over a time budget.

Each core runs its own worker on its own batches. Every few seconds the workers average their weights, in proportion to the steps
each of them made ("local SGD"). On a machine that other programs use too this loses much less time than threads that wait
for each other inside every operation.
"""
import copy, math, os, threading, time
import numpy as np
import torch
import torch.distributed as dist

import data

WORKERS = int(os.environ.get("GLASSINE_TRAIN_WORKERS", os.cpu_count() or 2))
PERIOD = 5.0  # seconds between two averagings


def _follow(parent):
    """A worker ends when the process that launched it is gone."""
    while os.getppid() == parent:
        time.sleep(2)
    os._exit(1)


def _worker(rank, function, args, file):
    torch.set_num_threads(1)
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=WORKERS)
    function(*args)
    dist.destroy_process_group()


def launch(function, *args):
    """Run a training function in all workers."""
    import torch.multiprocessing as mp
    file = data.path("ckpt", f"rendezvous-{os.getpid()}")
    mp.spawn(_worker, (function, args, file), nprocs=WORKERS)


class Run:
    """One training stage. Keeps models, optimizers, EMA, RNG and used time in one checkpoint file."""

    def __init__(self, name, models, optimizers, ema_of, minutes, seed=0, ema=0.999):
        self.name, self.models, self.optimizers, self.ema_of = name, models, optimizers, ema_of
        self.file = data.path("ckpt", name + ".pt")
        self.minutes, self.decay, self.used, self.step, self.images = minutes, ema, 0.0, 0, 0
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.gen, self.rng = torch.Generator(), None
        self.ema = {k: copy.deepcopy(models[k]).eval().requires_grad_(False) for k in ema_of}
        self.log, self.pending, self.own = {}, 0, 0
        if os.path.exists(self.file):
            s = torch.load(self.file, weights_only=False)
            for k, m in models.items():
                m.load_state_dict(s["models"][k])
            for k, o in optimizers.items():
                o.load_state_dict(s["optimizers"][k])
            for k, m in self.ema.items():
                m.load_state_dict(s["ema"][k])
            self.used, self.step, self.images = s["used"], s["step"], s["images"]
            if self.rank == 0:
                print(f"{name}: resumed at step {self.step}, {self.used / 60:.1f} min used", flush=True)
        # the random state of a resumed run follows from seed, step and worker
        key = [seed, self.step, self.rank]
        self.rng = np.random.default_rng(key)
        torch.manual_seed(int(self.rng.integers(1 << 62)))
        self.gen.manual_seed(int(self.rng.integers(1 << 62)))
        for o in optimizers.values():
            for g in o.param_groups:
                g.setdefault("initial_lr", g["lr"])
        self.params = [p for m in models.values() for p in m.parameters()]
        self.progress = self.used / (minutes * 60)
        self.clock = self.last = self.saved = self.shown = time.time()
        self.seen, self.saved_step = self.images, self.step

    def running(self):
        return self.progress < 1

    def schedule(self, warm=200, floor=0.02):
        """Warm-up by steps, then cosine over the time budget."""
        f = min(1.0, (self.step + 1) / warm) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1, self.progress))))
        for o in self.optimizers.values():
            for g in o.param_groups:
                g["lr"] = g["initial_lr"] * f

    def done_step(self, images, **values):
        self.pending += 1
        self.own += images
        for k, v in values.items():
            self.log[k] = 0.98 * self.log[k] + 0.02 * float(v) if k in self.log else float(v)
        if time.time() >= self.clock:
            self.average()

    @torch.no_grad()
    def average(self):
        """Weighted mean of all workers' weights; then EMA, log, checkpoint. All workers leave with equal state."""
        flat = torch.cat([p.reshape(-1) for p in self.params] + [torch.ones(1)]) * self.pending
        info = torch.tensor([self.own, 0.0, 0.0], dtype=torch.float64)
        now = torch.tensor([time.time()], dtype=torch.float64)
        if dist.is_initialized():
            dist.all_reduce(flat)
            dist.all_reduce(info)
            dist.all_reduce(now, op=dist.ReduceOp.MAX)
        steps = flat[-1].item()
        flat /= steps
        at = 0
        for p in self.params:
            p.data.copy_(flat[at:at + p.numel()].view_as(p))
            at += p.numel()
        d = min(self.decay, (1 + self.step) / (10 + self.step)) ** (steps / WORKERS)
        for k in self.ema_of:
            torch._foreach_lerp_(list(self.ema[k].parameters()), [p.data for p in self.models[k].parameters()], 1 - d)
        self.step += max(1, round(steps / WORKERS))
        self.images += int(info[0])
        now = now.item()
        self.used += now - self.last
        self.last, self.clock = now, now + PERIOD
        self.progress = self.used / (self.minutes * 60)
        self.pending = self.own = 0
        if self.rank == 0:
            if now - self.shown > 20:
                print(f"{self.name} {self.step} {self.used / 60:5.1f} min {(self.images - self.seen) / (now - self.shown):6.1f}/s " + " ".join(f"{k} {v:.5f}" for k, v in self.log.items()), flush=True)
                self.seen, self.shown = self.images, now
            if now - self.saved > 120 or not self.running():
                self.save()

    def save(self):
        if self.rank or self.step == self.saved_step:
            return
        self.saved, self.saved_step = time.time(), self.step
        s = dict(models={k: m.state_dict() for k, m in self.models.items()}, optimizers={k: o.state_dict() for k, o in self.optimizers.items()},
                 ema={k: m.state_dict() for k, m in self.ema.items()}, used=self.used, step=self.step, images=self.images)
        torch.save(s, self.file + ".new")
        os.replace(self.file + ".new", self.file)


def newer(a, b):
    """Does checkpoint a exist and is it at least as new as b?"""
    a, b = data.path("ckpt", a), data.path("ckpt", b)
    return os.path.exists(a) and os.path.getmtime(a) >= os.path.getmtime(b)


class Pictures:
    """Training pictures, sampled with effects."""

    def __init__(self, only_prompted=False):
        self.pics, self.meta = data.load()
        self.train = [i for i, m in enumerate(self.meta) if not m["held"] and (m["noun"] or not only_prompted)]
        self.held = [i for i, m in enumerate(self.meta) if m["held"]]

    def batch(self, n, rng, gen, plain=0.6, flip=0.5):
        idx = sorted(rng.choice(self.train, n, replace=False))
        kinds = [data.EFFECTS[0] if self.meta[i]["style"] == "procedural" or rng.random() < plain else data.EFFECTS[rng.integers(1, 5)] for i in idx]
        return data.augment(big(self.pics, idx), gen, kinds, flip=flip), idx, kinds


def big(pics, idx):
    return np.stack([pics[i] for i in idx])
