package natsconn

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nkeys"
)

// A credential is read at each connection attempt, never kept: what an
// operator rotates on disk is used at the next reconnect. A file that cannot
// be read at that moment yields an empty credential, which the broker refuses,
// which leads to the next attempt.

// userInfo is nats.go's callback for user name and password.
func (c Config) userInfo() (user, password string) {
	if c.User != "" {
		if c.PasswordFile == "" {
			return c.User, c.Password
		}
		password, _ = readSecret(c.PasswordFile)
		return c.User, password
	}
	if s, err := c.servers(); err == nil && s.user != nil {
		if password, ok := s.user.Password(); ok {
			return s.user.Username(), password
		}
	}
	return "", ""
}

// token is nats.go's callback for a token. As everywhere in NATS, a user name
// without a password in a URL is a token.
func (c Config) token() string {
	switch {
	case c.Token != "":
		return c.Token
	case c.TokenFile != "":
		token, _ := readSecret(c.TokenFile)
		return token
	case c.User != "":
		return ""
	}
	if s, err := c.servers(); err == nil && s.user != nil {
		if _, ok := s.user.Password(); !ok {
			return s.user.Username()
		}
	}
	return ""
}

// readSecret reads a file that holds one secret. White space around it is not
// part of it: an editor's or echo's final newline would otherwise be.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", errors.New("the file is empty")
	}
	return secret, nil
}

// publicKey derives the user's public key from a seed file.
func publicKey(path string) (string, error) {
	kp, err := readSeed(path)
	if err != nil {
		return "", err
	}
	defer kp.Wipe()
	public, err := kp.PublicKey()
	if err != nil {
		return "", fmt.Errorf("derive public key: %w", err)
	}
	if !nkeys.IsValidPublicUserKey(public) {
		return "", errors.New("holds a seed that is not a user's (user seeds begin with SU)")
	}
	return public, nil
}

func sign(path string, nonce []byte) ([]byte, error) {
	kp, err := readSeed(path)
	if err != nil {
		return nil, err
	}
	defer kp.Wipe()
	return kp.Sign(nonce)
}

func readSeed(path string) (nkeys.KeyPair, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	kp, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return nil, errors.New("holds no nkey seed (a line that begins with SU)")
	}
	return kp, nil
}

func checkCreds(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	defer clear(text)
	if jwt, err := nkeys.ParseDecoratedJWT(text); err != nil || jwt == "" {
		return errors.New("holds no user JWT")
	}
	kp, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return errors.New("holds no user seed")
	}
	kp.Wipe()
	return nil
}
