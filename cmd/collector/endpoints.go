package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/logbraid/logbraid/internal/status"
)

// newEndpoints adds GET /metrics to what status offers.
func newEndpoints(report func() (status.Report, bool)) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics{report},
	)
	mux := status.Mux(report)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// metrics reads the collector's numbers when it is scraped; there is no second
// copy of them. They have no label for workers: names come and go, and a time
// series for each would stay. collector stats has them.
type metrics struct {
	report func() (status.Report, bool)
}

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(status.Report) float64
}

func counter(name, help string, value func(status.Report) uint64) metric {
	return metric{prometheus.NewDesc("logbraid_"+name+"_total", help, nil, nil), prometheus.CounterValue,
		func(r status.Report) float64 { return float64(value(r)) }}
}

func gauge(name, help string, value func(status.Report) float64) metric {
	return metric{prometheus.NewDesc("logbraid_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

// ofStream is 0 in direct delivery.
func ofStream(name, help string, value func(*status.Stream) uint64) metric {
	return gauge("stream_"+name, help, func(r status.Report) float64 {
		if r.Stream == nil {
			return 0
		}
		return float64(value(r.Stream))
	})
}

func one(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

var all = []metric{
	counter("records_logged", "Records that publishers gave a number to, as far as they have told.", func(r status.Report) uint64 { return r.Totals.Logged }),
	counter("records_written", "Records in the log.", func(r status.Report) uint64 { return r.Totals.Written }),
	counter("records_dropped", "Records that publishers say they dropped.", func(r status.Report) uint64 { return r.Totals.Dropped }),
	counter("records_lost", "Records that nobody can send any more.", func(r status.Report) uint64 { return r.Totals.Lost }),
	counter("records_excess", "Records that publishers say they dropped, but that are in the log.", func(r status.Report) uint64 { return r.Totals.Excess }),
	counter("records_duplicate", "Records that came again and were not written.", func(r status.Report) uint64 { return r.Duplicates }),
	counter("records_foreign", "Records written that came without logbraid's header.", func(r status.Report) uint64 { return r.Foreign }),
	counter("records_own", "Records of the collector's own.", func(r status.Report) uint64 { return r.Own }),
	counter("batches", "Batches committed.", func(r status.Report) uint64 { return r.Batches }),
	counter("batch_bytes", "Bytes in committed batches.", func(r status.Report) uint64 { return r.Bytes }),
	counter("batches_wanted", "Batches refused because older records must come first.", func(r status.Report) uint64 { return r.Wanted }),
	counter("commits", "Commits.", func(r status.Report) uint64 { return r.Commits }),
	counter("commit_failures", "Commits that failed and were taken back.", func(r status.Report) uint64 { return r.Failures }),
	counter("messages_rejected", "Messages that did not hold together, kept in rejected.jsonl.", func(r status.Report) uint64 { return r.Rejected }),
	counter("messages_discarded", "Messages discarded because too much was waiting.", func(r status.Report) uint64 { return r.Discarded }),
	counter("messages_foreign_lost", "Foreign messages discarded, which nobody sends again.", func(r status.Report) uint64 { return r.ForeignLost }),
	gauge("queue_messages", "Messages that wait to be committed.", func(r status.Report) float64 { return float64(r.Queued) }),
	gauge("queue_bytes", "Bytes that wait to be committed.", func(r status.Report) float64 { return float64(r.QueuedBytes) }),
	gauge("runs", "Publishers' runs that are remembered.", func(r status.Report) float64 { return float64(len(r.Runs)) }),
	gauge("connected", "1 while connected to NATS.", func(r status.Report) float64 { return one(r.Connected) }),
	gauge("stalled", "1 while nothing can be committed.", func(r status.Report) float64 { return one(r.Stalled != "") }),
	ofStream("pending_messages", "Messages in the stream that are not in the log yet.", func(s *status.Stream) uint64 { return s.Pending }),
	ofStream("pending_bytes", "About how many bytes these are.", func(s *status.Stream) uint64 { return s.PendingBytes }),
	ofStream("bytes", "Bytes in the stream, with what is kept for analysts.", func(s *status.Stream) uint64 { return s.Bytes }),
	ofStream("max_bytes", "Room in the stream; 0: no bound.", func(s *status.Stream) uint64 { return s.MaxBytes }),
	gauge("start_time_seconds", "When the collector started, in seconds since 1970.", func(r status.Report) float64 { return float64(r.Started.UnixNano()) / 1e9 }),
}

var perHandler = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(status.Handler) float64
}{
	{handlerDesc("records_total", "Records written or handled."), prometheus.CounterValue, func(h status.Handler) float64 { return float64(h.Records) }},
	{handlerDesc("bytes_total", "Bytes written."), prometheus.CounterValue, func(h status.Handler) float64 { return float64(h.Bytes) }},
	{handlerDesc("skipped_total", "Records skipped because too much was waiting."), prometheus.CounterValue, func(h status.Handler) float64 { return float64(h.Skipped) }},
	{handlerDesc("errors_total", "Failures of this handler."), prometheus.CounterValue, func(h status.Handler) float64 { return float64(h.Errors) }},
	{handlerDesc("files", "Files open now."), prometheus.GaugeValue, func(h status.Handler) float64 { return float64(h.Files) }},
}

func handlerDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("logbraid_handler_"+name, help, []string{"handler"}, nil)
}

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range all {
		ch <- d.desc
	}
	for _, d := range perHandler {
		ch <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	r, ready := m.report()
	if !ready {
		return
	}
	for _, d := range all {
		ch <- prometheus.MustNewConstMetric(d.desc, d.kind, d.value(r))
	}
	seen := make(map[string]bool) // the same URL given twice would be the same series
	for _, h := range r.Handlers {
		if seen[h.Name] {
			continue
		}
		seen[h.Name] = true
		for _, d := range perHandler {
			ch <- prometheus.MustNewConstMetric(d.desc, d.kind, d.value(h), h.Name)
		}
	}
}
