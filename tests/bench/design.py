"""The design that logbraid replaces: a queue, a QueueHandler in each worker, one QueueListener in the master.

python3 design.py file|rotating PATH WORKERS RECORDS
Says "ready", waits for a line, and ends when every record is in the file.
"""
import json
import logging
import logging.handlers
import multiprocessing
import sys
import time


class JSONFormatter(logging.Formatter):
    """The fields that a logbraid record has."""

    def format(self, record):
        out = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + ".%06dZ" % (record.msecs * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            "rows": record.rows,
            "table": record.table,
            "took": record.took,
            "worker": record.processName,
        }
        return json.dumps(out, separators=(",", ":"))


FILLER = " row loaded from the staging table and handed on to the next step of the job...."


def work(queue, worker, records, go):
    root = logging.getLogger()
    root.addHandler(logging.handlers.QueueHandler(queue))
    root.setLevel(logging.INFO)
    log = logging.getLogger("etl.load")
    go.wait()
    for i in range(records):
        head = "rec w%d#%d;" % (worker, i)
        log.info(head + FILLER[: 80 - len(head)], extra={"rows": i, "table": "orders", "took": 0.25})


def main():
    kind, path, workers, records = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    queue = multiprocessing.Queue(-1)
    if kind == "file":
        handler = logging.FileHandler(path)
    else:
        # Large enough not to rotate: the check wants one file. The cost is the size check of each record.
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=1 << 40, backupCount=5)
    handler.setFormatter(JSONFormatter())
    listener = logging.handlers.QueueListener(queue, handler)
    go = multiprocessing.Event()
    processes = [multiprocessing.Process(target=work, args=(queue, w, records, go), name="w%d" % w) for w in range(workers)]
    for p in processes:
        p.start()
    listener.start()
    print("ready", flush=True)
    sys.stdin.readline()
    go.set()
    for p in processes:
        p.join()
    listener.stop()
    handler.close()
    print("done", flush=True)


if __name__ == "__main__":
    main()
