//go:build unix

package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// authority signs certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert, pemText("CERTIFICATE", der)}
}

// issue makes a certificate and its key. host is an address, a name, or nothing.
func (a *authority) issue(t *testing.T, host string) (cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "logbraid"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else if host != "" {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &pair.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	return pemText("CERTIFICATE", der), pemText("PRIVATE KEY", pkcs8)
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// body is the second line of a PEM text: enough to know it again.
func body(text string) string { return strings.Split(text, "\n")[1] }

// tlsConfig is a server with a certificate for host. clients: it asks for theirs.
func tlsConfig(t *testing.T, own, clients *authority, host string) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := own.issue(t, host)
	text := fmt.Sprintf("tls {\n cert_file: %q\n key_file: %q\n timeout: 5\n", write(t, filepath.Join(dir, "cert.pem"), cert), write(t, filepath.Join(dir, "key.pem"), key))
	if clients != nil {
		text += fmt.Sprintf(" ca_file: %q\n verify: true\n", write(t, filepath.Join(dir, "ca.pem"), clients.pem))
	}
	return text + "}\n"
}

// The server's certificate comes from an authority that the client does not know.
func serverCertificate(t *testing.T) kind {
	file := filepath.Join(t.TempDir(), "ca.pem")
	authorities := []*authority{newAuthority(t, "zero"), newAuthority(t, "one"), newAuthority(t, "two")}
	return kind{
		name:   "TLS",
		server: func(t *testing.T, g int) string { return tlsConfig(t, authorities[g], nil, "127.0.0.1") },
		client: func(t *testing.T, g int) { write(t, file, authorities[g].pem) },
		env:    []string{"LOGBRAID_NATS_CA=" + file},

		refusal: "the NATS server's certificate is not accepted",
	}
}

// The client's certificate comes from an authority that the server does not know.
func clientCertificate(t *testing.T) kind {
	dir := t.TempDir()
	server := newAuthority(t, "server")
	ca := write(t, filepath.Join(dir, "ca.pem"), server.pem)
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	authorities := []*authority{newAuthority(t, "zero"), newAuthority(t, "one"), newAuthority(t, "two")}
	var certs, keys, secrets []string
	for _, a := range authorities {
		cert, key := a.issue(t, "")
		certs, keys, secrets = append(certs, cert), append(keys, key), append(secrets, body(key))
	}
	return kind{
		name:   "mutual TLS",
		server: func(t *testing.T, g int) string { return tlsConfig(t, server, authorities[g], "127.0.0.1") },
		client: func(t *testing.T, g int) {
			write(t, certFile, certs[g])
			write(t, keyFile, keys[g])
		},
		env: []string{"LOGBRAID_NATS_CA=" + ca, "LOGBRAID_NATS_CERT=" + certFile, "LOGBRAID_NATS_KEY=" + keyFile},

		refusal: "the NATS server does not accept our certificate", secrets: secrets,
	}
}

// A certificate of the right authority, for another host; and a server that asks for a certificate where there is none.
func TestCertificateThatDoesNotMatch(t *testing.T) {
	a := newAuthority(t, "authority")
	ca := write(t, filepath.Join(t.TempDir(), "ca.pem"), a.pem)
	for _, tt := range []struct {
		name, host string
		clients    *authority
		say        string
	}{
		{"another host", "nats.example.com", nil, "the NATS server's certificate is not accepted"},
		{"none of our own", "127.0.0.1", a, "the NATS server does not accept our certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config := write(t, filepath.Join(t.TempDir(), "server.conf"), tlsConfig(t, a, tt.clients, tt.host))
			broker := harness.StartBroker(t, harness.BrokerSpec{Args: []string{"-c", config}})
			w := harness.StartWorker(t, "w1", harness.WorkerSpec{Records: 10, CloseWait: time.Second, Serve: true}, harness.PlainEnv(broker.URL, "w1", "LOGBRAID_NATS_CA="+ca))
			says(t, w.Process, tt.say)
			w.WaitLogged()
			if r := w.Finish(); r.Acked != 0 || r.Unacked != 10 {
				t.Errorf("%d acknowledged, %d not", r.Acked, r.Unacked)
			}
		})
	}
}

// The shipped tls.conf: roles and mutual TLS together.
func TestRolesOverTLS(t *testing.T) {
	dir, logs, ledgers := t.TempDir(), t.TempDir(), t.TempDir()
	a := newAuthority(t, "authority")
	file := func(name, text string) string { return write(t, filepath.Join(dir, name), text) }
	serverCert, serverKey := a.issue(t, "127.0.0.1")
	clientCert, clientKey := a.issue(t, "")
	broker := startRoles(t, "tls.conf", harness.Env("NATS_TLS_CERT="+file("server.pem", serverCert),
		"NATS_TLS_KEY="+file("server-key.pem", serverKey), "NATS_TLS_CA="+file("ca.pem", a.pem)))
	env := []string{"LOGBRAID_NATS_CA=" + filepath.Join(dir, "ca.pem"),
		"LOGBRAID_NATS_CERT=" + file("client.pem", clientCert), "LOGBRAID_NATS_KEY=" + file("client-key.pem", clientKey)}
	collector := startCollector(t, logs, broker.URL, append(user("collector", collectorPassword), env...)...)
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Records: 1_000},
		harness.PlainEnv(broker.URL, "w1", append(user("w1", w1Password), env...)...))
	if r := w.Report(); r.Acked != 1_000 {
		t.Errorf("%d of 1000 acknowledged: %s", r.Acked, r.Close)
	}
	collector.Signal(15)
	collector.WaitOK()
	harness.Check(t, ledgers, checker.Destination{Path: filepath.Join(logs, "app.jsonl")})
	silentAbout(t, []string{collectorPassword, w1Password, body(clientKey), body(serverKey)}, []string{logs}, broker.Process, collector, w.Process)
}
