// Package consumer reads the log while it is written, for analytics, alerts and the like: an
// iterator over records, with everything that is missing told in its place.
//
//	c, err := consumer.Start(ctx, cfg)
//	...
//	defer c.Close()
//	for rec, err := range c.Records(ctx) {
//		if err != nil {
//			fmt.Fprintln(os.Stderr, err) // a *Gap, mostly: the iteration goes on
//			continue
//		}
//		ms, _ := rec.Float("ms")
//		...
//	}
//
// A consumer stands beside the collector and never in its way. It acknowledges nothing to a
// worker; when it is slow, records are left out for it alone, and it is told how many.
//
// # What arrives
//
// Per run the records come in order, each once. Of every seq behind the first that reaches the
// consumer it is said what became of it:
//
//	seqs = records yielded or filtered out + Gap.Missed + Gap.Dropped
//
// In direct delivery a consumer sees what is published while it is connected, what a publisher
// sends again included (that is removed here). In stream delivery (Config.Stream) it reads what
// the stream holds, from a time, a sequence, or where a durable consumer of its name stopped.
//
// Between runs there is no order; rec.Time has what each worker's clock said.
package consumer
