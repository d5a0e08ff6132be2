"""Shared parts of training: several one-threaded workers, resumable state, EMA, a schedule over a time budget, the number type.

Each core runs its own worker on its own batches. Every few seconds the workers average their weights, in proportion to the steps
each of them made ("local SGD"). On a machine that other programs use too this loses much less time than threads that wait
for each other inside every operation.
"""
import contextlib, copy, math, os, threading, time
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
    torch.set_flush_denormal(True)
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=WORKERS)
    function(*args)
    dist.destroy_process_group()


def launch(function, *args):
    """Run a training function in all workers."""
    import torch.multiprocessing as mp
    file = data.path("ckpt", f"rendezvous-{os.getpid()}")
    mp.spawn(_worker, (function, args, file), nprocs=WORKERS)


def rank():
    return dist.get_rank() if dist.is_initialized() else 0


def number_type(forward):
    """Measure which is faster here for a stage's own network with its gradients: f32, or bf16 autocast. (Without AMX single products
    may be faster in bf16 and a whole step twenty times slower.) `forward` gives a result of the network. What counts is processor time, so that other
    programs do not matter. All workers use what the
    first one found."""
    def seconds(cast):
        best = 1e9
        for _ in range(3):
            t = time.process_time()
            with torch.autocast("cpu", torch.bfloat16) if cast else contextlib.nullcontext():
                y = forward()
            y.float().square().mean().backward()
            best = min(best, time.process_time() - t)
        return best
    choice = torch.zeros(1)
    if rank() == 0:
        single, half = seconds(False), seconds(True)
        choice[0] = half < 0.8 * single
        print(f"number type: {'bf16 autocast' if choice[0] else 'f32'} (f32 {single * 1e3:.0f} ms, bf16 {half * 1e3:.0f} ms)", flush=True)
    if dist.is_initialized():
        dist.broadcast(choice, 0)
    half = bool(choice[0])
    return lambda: torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext()


class Run:
    """One training stage. Keeps models, optimizers, EMA, RNG and used time in one checkpoint file."""

    def __init__(self, name, models, optimizers, ema_of, minutes, seed=0, ema=0.999, trained=None):
        self.name, self.models, self.optimizers, self.ema_of = name, models, optimizers, ema_of
        self.file = data.path("ckpt", name + ".pt")
        self.minutes, self.decay, self.used, self.step, self.images = minutes, ema, 0.0, 0, 0
        self.rank = rank()
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
        self.rng = np.random.default_rng([seed, self.step, self.rank])
        torch.manual_seed(int(self.rng.integers(1 << 62)))
        self.gen.manual_seed(int(self.rng.integers(1 << 62)))
        for o in optimizers.values():
            for g in o.param_groups:
                g.setdefault("initial_lr", g["lr"])
        self.params = trained or [p for m in models.values() for p in m.parameters()]
        self.progress = self.used / (minutes * 60)
        self.clock = self.saved = self.shown = time.time()
        self.processor = time.process_time()
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
        processor = time.process_time()
        info = torch.tensor([self.own, (processor - self.processor) / WORKERS], dtype=torch.float64)
        self.processor = processor
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
        # The budget is of processor time, so that a stage beside other programs takes longer instead of ending with less.
        self.used += info[1].item()
        self.clock = now + PERIOD
        self.progress = self.used / (self.minutes * 60)
        self.pending = self.own = 0
        if self.rank == 0:
            if now - self.shown > 20 or not self.running():
                print(f"{self.name} {self.step} {self.used / 60:5.1f} min {(self.images - self.seen) / max(1e-3, now - self.shown):6.1f}/s " + " ".join(f"{k} {v:.5f}" for k, v in self.log.items()), flush=True)
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


def ema_of(stage):
    """The averaged weights of a stage's checkpoint, by model."""
    return torch.load(data.path("ckpt", stage + ".pt"), weights_only=False)["ema"]


def minutes(arguments, default):
    """The last argument that is a number; in a smoke run a fraction of a minute."""
    numbers = [float(a) for a in arguments if a.replace(".", "", 1).isdigit()]
    return numbers[-1] if numbers else 0.4 if data.SMOKE else default
