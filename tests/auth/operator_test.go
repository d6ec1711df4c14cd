//go:build unix

package auth

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// An operator, one account, and a signing key of the account whose users are workers: what nsc makes.
type operator struct {
	jwt        string
	account    nkeys.KeyPair
	public     string
	accountJWT string
	workers    nkeys.KeyPair
}

func newOperator(t *testing.T, g int) *operator {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o := &operator{}
	own, err := nkeys.CreateOperator()
	must(err)
	ownPublic, _ := own.PublicKey()
	claims := jwt.NewOperatorClaims(ownPublic)
	claims.Name = fmt.Sprintf("operator %d", g)
	o.jwt, err = claims.Encode(own)
	must(err)

	o.account, err = nkeys.CreateAccount()
	must(err)
	o.public, _ = o.account.PublicKey()
	o.workers, err = nkeys.CreateAccount()
	must(err)
	role, _ := o.workers.PublicKey()
	scope := jwt.NewUserScope()
	scope.Key, scope.Role = role, "worker"
	scope.Template.Pub.Allow.Add("logs.etl.{{name()}}")
	scope.Template.Sub.Allow.Add("_INBOX.{{name()}}.>")
	account := jwt.NewAccountClaims(o.public)
	account.SigningKeys.AddScopedSigner(scope)
	o.accountJWT, err = account.Encode(own)
	must(err)
	return o
}

// config is a server that trusts the operator.
func (o *operator) config(t *testing.T) string {
	return fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }\n", o.jwt, o.public, o.accountJWT)
}

// user makes a credentials file of a user who may do everything.
func (o *operator) user(t *testing.T, change func(*jwt.UserClaims)) string {
	t.Helper()
	return o.creds(t, o.account, func(c *jwt.UserClaims) {
		if change != nil {
			change(c)
		}
	})
}

// worker makes one of a worker, whose permissions come from its signing key.
func (o *operator) worker(t *testing.T, name string) string {
	t.Helper()
	return o.creds(t, o.workers, func(c *jwt.UserClaims) {
		c.Name, c.IssuerAccount = name, o.public
		c.SetScoped(true)
	})
}

func (o *operator) creds(t *testing.T, signer nkeys.KeyPair, change func(*jwt.UserClaims)) string {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pair.PublicKey()
	seed, _ := pair.Seed()
	claims := jwt.NewUserClaims(public)
	change(claims)
	text, err := claims.Encode(signer)
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		t.Fatal(err)
	}
	return string(creds)
}

var seedLine = regexp.MustCompile(`\bSU[A-Z2-7]{50,}`)

// secretsOf are the seed and the JWT of a credentials file.
func secretsOf(creds string) []string {
	secrets := seedLine.FindAllString(creds, -1)
	for line := range strings.Lines(creds) {
		if strings.HasPrefix(line, "eyJ") {
			secrets = append(secrets, strings.TrimSpace(line))
		}
	}
	return secrets
}
