package embedded

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/pkg/collector"
)

// reader stands for those who read the log where others have a worker's name. No worker's name in a subject
// holds a "=" (record.Token), so none can be taken for it.
const reader = "=reader"

// readerPermissions let a consumer listen, read the stream if there is one, and change nothing but its own place
// in it. What it says in a worker's name is refused.
func readerPermissions(prefix, stream string) *server.Permissions {
	publish := &server.SubjectPermission{Deny: []string{">"}}
	if stream != "" {
		publish = &server.SubjectPermission{Allow: []string{
			"$JS.API.INFO",
			"$JS.API.STREAM.INFO." + stream,
			"$JS.API.STREAM.MSG.GET." + stream,
			"$JS.API.DIRECT.GET." + stream,
			"$JS.API.DIRECT.GET." + stream + ".>",
			"$JS.API.CONSUMER.CREATE." + stream + ".>",
			"$JS.API.CONSUMER.INFO." + stream + ".>",
			"$JS.API.CONSUMER.DELETE." + stream + ".>",
			"$JS.API.CONSUMER.MSG.NEXT." + stream + ".>",
			"$JS.ACK." + stream + ".>",
			"$JS.FC." + stream + ".>",
		}}
	}
	return &server.Permissions{
		Publish:   publish,
		Subscribe: &server.SubjectPermission{Allow: []string{prefix + ".>", inbox(reader) + ".>"}},
	}
}

// ReaderEnv is all that a program needs in its environment to read the log beside the collector, for
// consumer.ConfigFromEnv or `collector tail`: where the broker is, and a token that reads and says nothing.
// It also stands in the log directory, for `collector tail --dir DIR`.
func (m *Master) ReaderEnv() []string {
	env := []string{
		"LOGBRAID_NATS_URL=" + m.broker.url(),
		"LOGBRAID_NATS_URL_FILE=" + m.state.address(),
		"LOGBRAID_NATS_TOKEN_FILE=" + filepath.Join(m.state.tokens(), reader),
		"LOGBRAID_NATS_INBOX=" + inbox(reader),
		"LOGBRAID_PREFIX=" + m.cfg.Prefix,
		"LOGBRAID_DELIVERY=" + m.cfg.Delivery,
	}
	if m.cfg.Delivery == collector.DeliveryStream {
		env = append(env, "LOGBRAID_STREAM="+m.cfg.Stream.Name)
	}
	return append(env, noOtherCredentials()...)
}

// admitReaders makes the readers' token if there is none, and leaves their environment where they find it.
func (m *Master) admitReaders(dir string) error {
	if _, err := m.auth.issueAs(reader); err != nil {
		return err
	}
	if err := writeFile(settings.ReaderEnv(dir), strings.Join(m.ReaderEnv(), "\n")+"\n"); err != nil {
		return fmt.Errorf("write environment of readers: %w", err)
	}
	return nil
}
