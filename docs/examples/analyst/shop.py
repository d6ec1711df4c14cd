# A worker that logs JSON lines for a while; from its 8th to its 14th second, many orders fail.
import json, random, sys, time

random.seed(int(sys.argv[1]))
began = time.time()
while (at := time.time() - began) < float(sys.argv[2]):
    logger = random.choices(["etl.load", "etl.extract", "orders", "trades.fx"], [5, 3, 2, 1])[0]
    failing = {"etl.load": 0.01, "orders": 0.3 if 8 < at < 14 else 0.02}.get(logger, 0)
    level = "error" if random.random() < failing else "info"
    print(json.dumps({"level": level, "logger": logger, "msg": "done" if level == "info" else "failed"}), flush=True)
    time.sleep(random.expovariate(60))
