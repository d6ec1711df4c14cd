// Package job is what the processes of a round share: how a worker is told its work, and what its records say.
package job

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"
)

// Environment variables by which a process is told its part. Those of one role only stand where they are used.
const (
	RoleVariable    = "BENCH_ROLE"
	workerVariable  = "BENCH_WORKER"
	recordsVariable = "BENCH_RECORDS"
	paceVariable    = "BENCH_PACE"
	warmVariable    = "BENCH_WARM"
)

// A Job is the part of the load that one worker does.
type Job struct {
	Worker  int
	Records int
	Pace    time.Duration // between two records; 0: as fast as it goes
	Warm    int           // bytes that are logged before the clock runs, in records of their own
}

// Env is the job as FromEnv reads it.
func (j Job) Env() []string {
	return []string{
		fmt.Sprintf("%s=%d", workerVariable, j.Worker),
		fmt.Sprintf("%s=%d", recordsVariable, j.Records),
		fmt.Sprintf("%s=%s", paceVariable, j.Pace),
		fmt.Sprintf("%s=%d", warmVariable, j.Warm),
	}
}

// FromEnv is the job of this process.
func FromEnv() (Job, error) {
	var j Job
	for name, v := range map[string]*int{workerVariable: &j.Worker, recordsVariable: &j.Records, warmVariable: &j.Warm} {
		n, err := strconv.Atoi(os.Getenv(name))
		if err != nil {
			return Job{}, fmt.Errorf("%s: %w", name, err)
		}
		*v = n
	}
	var err error
	if j.Pace, err = time.ParseDuration(os.Getenv(paceVariable)); err != nil {
		return Job{}, fmt.Errorf("%s: %w", paceVariable, err)
	}
	return j, nil
}

// Each calls log with every message of the job; msg is there until log returns.
func (j Job) Each(log func(msg string, i int)) {
	var msg []byte
	if j.Pace == 0 {
		for i := range j.Records {
			msg = Message(msg[:0], j.Worker, i)
			log(inPlace(msg), i)
		}
		return
	}
	tick := time.NewTicker(j.Pace)
	defer tick.Stop()
	for i := range j.Records {
		<-tick.C
		msg = Message(msg[:0], j.Worker, i)
		stamp(msg)
		log(inPlace(msg), i)
	}
}

// Until calls log with one message after the other until stop is closed.
func (j Job) Until(stop <-chan struct{}, log func(msg string, i int)) {
	var msg []byte
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		msg = Message(msg[:0], j.Worker, i)
		log(inPlace(msg), i)
	}
}

// mark is what a message begins with: the check looks for it in the lines of every contestant, whatever their format.
const mark = "rec w"

// Message appends what record i of a worker says: 80 bytes that differ from record to record.
func Message(dst []byte, worker, i int) []byte {
	const filler = " row loaded from the staging table and handed on to the next step of the job...."
	start := len(dst)
	dst = append(dst, mark...)
	dst = strconv.AppendInt(dst, int64(worker), 10)
	dst = append(dst, '#')
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, ';')
	return append(dst, filler[:80-(len(dst)-start)]...)
}

// inPlace is a message as the string that it is logged as, without a copy: garbage of the load's own, the same for all,
// would only hide their differences. Every contestant has encoded it by the time its log call returns.
func inPlace(msg []byte) string { return unsafe.String(unsafe.SliceData(msg), len(msg)) }

// Find tells whose record a line has, and which. found is false if it has none: a system's own line. whole is false if it is torn.
func Find(line []byte) (worker, i int, found, whole bool) {
	at := bytes.Index(line, []byte(mark))
	if at < 0 {
		return 0, 0, false, false
	}
	rest := line[at+len(mark):]
	number, rest, _ := bytes.Cut(rest, []byte{'#'})
	index, _, closed := bytes.Cut(rest, []byte{';'})
	worker, err1 := strconv.Atoi(string(number))
	i, err2 := strconv.Atoi(string(index))
	return worker, i, true, closed && err1 == nil && err2 == nil
}

// Count counts the marks of records in b. One that is cut off at the end of b is not counted; it is whole again when the last
// Overlap bytes of b stand before what follows.
func Count(b []byte) int { return bytes.Count(b, []byte(mark)) }

// Overlap is one byte less than a mark has.
const Overlap = len(mark) - 1

// stamp puts the time into a message.
func stamp(msg []byte) {
	at := strconv.AppendInt([]byte(" at="), time.Now().UnixNano(), 10)
	copy(msg[bytes.IndexByte(msg, ';')+1:], append(at, ' '))
}

// CalledAt is the time at which a paced worker logged the record of a line; false if the line has none.
func CalledAt(line []byte) (time.Time, bool) {
	_, at, ok := bytes.Cut(line, []byte("; at="))
	if !ok {
		return time.Time{}, false
	}
	digits, _, _ := bytes.Cut(at, []byte{' '})
	ns, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Unix(0, ns), err == nil
}

// Await says "ready" and waits for "go".
func Await() error {
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}
