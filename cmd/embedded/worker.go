package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/logbraid/logbraid/internal/child"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// notice is a line of a worker's standard output, which is a pipe to the master:
// one when it begins, one at its end. The master's table takes its "accepted"
// from here, so it does not depend on what arrived over the broker.
type notice struct {
	Run     string `json:"run"`
	Done    bool   `json:"done"`
	Logged  uint64 `json:"logged"`  // records accepted: everything that got a seq
	Dropped uint64 `json:"dropped"` // of these
	Unacked uint64 `json:"unacked"` // of these, left in the buffer
	Work    work   `json:"work"`
}

// newWorkCommand is what the main job's workers run: this same binary, with the
// environment that the master gives to any worker.
func newWorkCommand() *cobra.Command {
	var j parseJob
	c := &cobra.Command{
		Use:    "work",
		Short:  "Be a worker of the main job",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			child.SurvivePipe() // our reader is the master, and we may outlive it
			return j.worker(ctx, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&j.root, "input", "", "tree of Go files")
	c.Flags().IntVar(&j.index, "index", 0, "which of the workers this is, from 0")
	c.Flags().IntVar(&j.of, "of", 1, "how many workers there are")
	c.Flags().Uint64Var(&j.seed, "seed", 0, "order of the files")
	return c
}

// worker is the life of a worker process.
func (j *parseJob) worker(ctx context.Context, out io.Writer) error {
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	j.pub = pub
	notices := json.NewEncoder(out)
	n := notice{Run: pub.Identity().Run}
	// A master that was killed does not read any more. The work goes on without
	// it: its successor finds the records.
	_ = notices.Encode(n)
	workErr := j.run(ctx)
	closeErr := pub.Close(context.Background()) // bounded by LOGBRAID_CLOSE_TIMEOUT
	st := pub.Stats()
	n.Done, n.Logged, n.Dropped, n.Unacked, n.Work = true, st.Logged, st.Dropped, st.Buffered, j.work
	_ = notices.Encode(n)
	if workErr != nil {
		return workErr
	}
	// What is kept in a file is on its way all the same: the master delivers it.
	var unacked *publisher.UnackedError
	if closeErr != nil && !(errors.As(closeErr, &unacked) && unacked.Kept != "") {
		return fmt.Errorf("close publisher: %w", closeErr)
	}
	return nil
}
