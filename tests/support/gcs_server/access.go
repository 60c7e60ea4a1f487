package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm = "GOOG4-RSA-SHA256"
	moment    = "20060102T150405Z"
)

// refusal is an answer of the XML API that says no.
type refusal struct {
	status  int
	code    string
	message string
}

func (f *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(f.status)
	type told struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}
	_ = xml.NewEncoder(w).Encode(told{Code: f.code, Message: f.message})
}

// account is the one service account that may do anything; the server knows its public key.
type account struct {
	email string
	key   *rsa.PublicKey
}

func readAccount(path string) (*account, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var told struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
	}
	if err := json.Unmarshal(content, &told); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(told.Key))
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no RSA key", path)
	}
	return &account{told.Email, &private.PublicKey}, nil
}

// admits gives nil for a request that the account made or signed.
func (a *account) admits(r *http.Request) *refusal {
	if r.URL.Query().Has("X-Goog-Signature") {
		return a.signed(r)
	}
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return &refusal{http.StatusUnauthorized, "AuthenticationRequired", "anonymous callers may nothing"}
	}
	if err := a.checkToken(token); err != nil {
		return &refusal{http.StatusUnauthorized, "AuthenticationRequired", err.Error()}
	}
	return nil
}

// checkToken holds a token to what a service account signs for itself.
func (a *account) checkToken(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("the token is no JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	if err := a.check(parts[0]+"."+parts[1], signature); err != nil {
		return err
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Expires int64  `json:"exp"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return err
	}
	if claims.Issuer != a.email || claims.Expires < time.Now().Unix() {
		return fmt.Errorf("the token is another's, or old")
	}
	return nil
}

// signed holds a request to the V4 signature in its URL, computed anew from what came.
func (a *account) signed(r *http.Request) *refusal {
	query := r.URL.Query()
	mismatch := func(format string, more ...any) *refusal {
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", fmt.Sprintf(format, more...)}
	}
	made, err := time.Parse(moment, query.Get("X-Goog-Date"))
	if err != nil {
		return mismatch("no date")
	}
	seconds, err := strconv.Atoi(query.Get("X-Goog-Expires"))
	if err != nil || seconds < 1 || seconds > 604800 {
		return mismatch("X-Goog-Expires")
	}
	if time.Now().After(made.Add(time.Duration(seconds) * time.Second)) {
		return &refusal{http.StatusBadRequest, "ExpiredToken", "the URL has expired"}
	}
	scope := made.Format("20060102") + "/auto/storage/goog4_request"
	if query.Get("X-Goog-Algorithm") != algorithm || query.Get("X-Goog-Credential") != a.email+"/"+scope {
		return mismatch("X-Goog-Credential")
	}
	names := strings.Split(query.Get("X-Goog-SignedHeaders"), ";")
	if !slices.Contains(names, "host") || !slices.IsSorted(names) {
		return mismatch("X-Goog-SignedHeaders")
	}
	for name := range r.Header {
		if low := strings.ToLower(name); strings.HasPrefix(low, "x-goog-") && !slices.Contains(names, low) {
			return &refusal{http.StatusBadRequest, "MalformedSecurityHeader", low + " is not signed"}
		}
	}
	var headers strings.Builder
	for _, name := range names {
		value := strings.Join(r.Header.Values(name), ",")
		if name == "host" {
			value = knownBy
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	path, err := canonicalPath(r.URL)
	if err != nil {
		return mismatch("%v", err)
	}
	canonical := strings.Join([]string{
		r.Method, path, canonicalQuery(query), headers.String(), strings.Join(names, ";"), "UNSIGNED-PAYLOAD",
	}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{algorithm, query.Get("X-Goog-Date"), scope, hex.EncodeToString(digest[:])}, "\n")
	signature, err := hex.DecodeString(query.Get("X-Goog-Signature"))
	if err != nil || a.check(text, signature) != nil {
		return mismatch("the signature is not of\n%s", canonical)
	}
	return nil
}

func (a *account) check(text string, signature []byte) error {
	digest := sha256.Sum256([]byte(text))
	return rsa.VerifyPKCS1v15(a.key, crypto.SHA256, digest[:], signature)
}

// canonicalPath writes a path as the service does: every reserved sign of a name is encoded.
func canonicalPath(u *url.URL) (string, error) {
	path, err := url.PathUnescape(u.EscapedPath())
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(encoded(path), "%2F", "/"), nil
}

func canonicalQuery(query url.Values) string {
	var told []string
	for name, values := range query {
		if name != "X-Goog-Signature" {
			for _, value := range values {
				told = append(told, encoded(name)+"="+encoded(value))
			}
		}
	}
	slices.Sort(told)
	return strings.Join(told, "&")
}

func encoded(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
