// Answers admission reviews over TLS with Open Policy Agent, by a rule on the whole `spec`: what OPA users write by hand
// for what Holdfast does.
//
// It prints one JSON object, {"port", "ca"}, when it listens on loopback, and ends when its standard input does.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/util"
)

// A person's edit of the spec of an object that is managed; there is nothing in it that says what Git says.
const policy = `package holdfast

review := {"uid": input.request.uid, "allowed": count(refusals) == 0, "status": {"message": concat("; ", refusals)}}

refusals contains message if {
	input.request.operation == "UPDATE"
	not startswith(input.request.userInfo.username, "system:")
	input.request.object.spec != input.request.oldObject.spec
	message := sprintf("%s %s/%s is managed: its spec is changed in Git", [
		input.request.kind.kind, input.request.namespace, input.request.name,
	])
}
`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	rule, err := rego.New(rego.Query("data.holdfast.review"), rego.Module("rule.rego", policy)).PrepareForEval(context.Background())
	if err != nil {
		return err
	}
	certificate, ca, err := certificate()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		server := http.Server{Handler: handler(rule)}
		secured := tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}})
		fmt.Fprintln(os.Stderr, "error:", server.Serve(secured))
		os.Exit(1)
	}()
	ready := map[string]any{"port": listener.Addr().(*net.TCPAddr).Port, "ca": ca}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func handler(rule rego.PreparedEvalQuery) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		answer, err := review(request, rule)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})
}

func review(request *http.Request, rule rego.PreparedEvalQuery) ([]byte, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	var input any
	// As OPA's own server reads its input: numbers keep their digits.
	if err := util.NewJSONDecoder(bytes.NewReader(body)).Decode(&input); err != nil {
		return nil, err
	}
	results, err := rule.Eval(request.Context(), rego.EvalInput(input))
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("the rule has %d results", len(results))
	}
	return json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": results[0].Expressions[0].Value,
	})
}

// certificate makes one for loopback, and the authority that signs it.
func certificate() (tls.Certificate, string, error) {
	authority := template("authority")
	authority.IsCA, authority.BasicConstraintsValid = true, true
	ca, caKey, err := sign(authority, nil, nil)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	leaf := template("peer")
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	serving, key, err := sign(leaf, authority, caKey)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	trusted := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca}))
	return tls.Certificate{Certificate: [][]byte{serving}, PrivateKey: key}, trusted, nil
}

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

// sign makes a key and a certificate for it; without a parent, one that signs itself.
func sign(certificate, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, parentKey = certificate, key
	}
	bytes, err := x509.CreateCertificate(rand.Reader, certificate, parent, &key.PublicKey, parentKey)
	return bytes, key, err
}
