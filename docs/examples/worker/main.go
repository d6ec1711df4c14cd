package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/publisher"
)

func main() {
	ctx := context.Background()
	pub, err := publisher.FromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer pub.Close(ctx)

	pub.InstallLogrus(logrus.StandardLogger()) // existing logrus code unchanged
	slog.SetDefault(slog.New(pub.SlogHandler(nil)))
	log := pub.Logger("orders") // a logger with a name: *logrus.Entry

	logrus.WithField("rows", 120).Info("table loaded")
	slog.Warn("slow query", "ms", 812)
	log.Info("order placed")
}
