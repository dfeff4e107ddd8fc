"""Appends mail to a Dovecot (benches/peers/dovecot.sh start) and writes down what it says of it:

    python3 tests/oracle/dovecot.py PORT OUT torture mbox
    MAILRACE_ORACLE=OUT cargo test --lib mime::tests::oracle -- --ignored --nocapture

The mail is in ../shared/corpus, or where MAILRACE_CORPUS says.
"""
import sys, socket, re, os, glob, json, base64
CORPUS=os.environ.get("MAILRACE_CORPUS","../shared/corpus")
port=int(sys.argv[1]); out=sys.argv[2]; which=sys.argv[3:]; box=(b"o" if "mbox" in which else b"p")
class Closed(Exception): pass
def connect():
    global s,f
    s=socket.create_connection(("127.0.0.1",port)); f=s.makefile("rb")
connect()
def line(): return f.readline()
def send(b): s.sendall(b)
print(line())
send(b"a LOGIN bench bench\r\n")
def until(tag):
    """Lines with literals joined, until the tagged one."""
    got=[]
    while True:
        l=line()
        if not l: raise Closed
        while True:
            m=re.search(rb"\{(\d+)\}\r\n$",l)
            if not m: break
            l+=f.read(int(m.group(1)))
            l+=line()
        got.append(l)
        if l.startswith(tag+b" "): return got
print(until(b"a")[-1])
def messages():
    if "torture" in which:
        for p in sorted(glob.glob(CORPUS+"/torture/*.eml")):
            yield "torture/"+os.path.basename(p), open(p,"rb").read()
    if "mbox" in which:
        data=open(CORPUS+"/messages.mbox","rb").read()
        parts=re.split(rb"(?m)^From .*\n",data)[1:]
        for i,m in enumerate(parts):
            m=m[:-1] # the empty line before the next
            m=re.sub(rb"(?m)^>(>*From )",rb"\1",m)
            yield "mbox/%d"%(i+1), m.replace(b"\n",b"\r\n")
    for w in which:
        if w.startswith("/"):
            for p in sorted(glob.glob(w+"/*")):
                yield "own/"+os.path.basename(p), open(p,"rb").read()
send(b"b CREATE "+box+b"\r\n"); until(b"b")
send(b"b DELETE "+box+b"\r\n"); until(b"b")
send(b"b CREATE "+box+b"\r\n"); until(b"b")
names=[]
for name,m in messages():
    send(b"c APPEND %s {%d+}\r\n"%(box,len(m))+m+b"\r\n")
    r=until(b"c")[-1]
    if not r.startswith(b"c OK"): print(name,r); continue
    names.append((name,m))
send(b"d SELECT "+box+b"\r\n"); until(b"d")
def toks(b):
    """A parenthesized list as nested lists of bytes/None/int."""
    pos=0
    def val():
        nonlocal pos
        c=b[pos:pos+1]
        if c==b"(":
            pos+=1; l=[]
            while True:
                while b[pos:pos+1]==b" ": pos+=1
                if b[pos:pos+1]==b")": pos+=1; return l
                l.append(val())
        if c==b'"':
            pos+=1; o=bytearray()
            while b[pos:pos+1]!=b'"':
                if b[pos:pos+1]==b"\\": pos+=1
                o+=b[pos:pos+1]; pos+=1
            pos+=1; return bytes(o)
        m=re.match(rb"~?\{(\d+)\}\r\n",b[pos:pos+20])
        if m:
            n=int(m.group(1)); pos+=m.end(); v=b[pos:pos+n]; pos+=n; return v
        m=re.match(rb"[^\s()\"]+(\[[^\]]*\](<\d+>)?)?",b[pos:]); pos+=m.end()
        v=m.group(0)
        return None if v==b"NIL" else v.decode("latin1")
    return val()
def numbers(s,prefix="",is_msg=True,out=None):
    """Part numbers as RFC 3501 counts them."""
    if out is None: out=[]
    if isinstance(s[0],list):
        n=0
        while isinstance(s[n],list):
            num=prefix+str(n+1); out.append(num)
            child=s[n]
            if isinstance(child[0],list): numbers(child,num+".",False,out)
            elif child[0] and child[0].lower()==b"message" and child[1] and child[1].lower()==b"rfc822":
                inner=child[8]
                numbers(inner,num+".",True,out)
            n+=1
    elif is_msg:
        out.append(prefix+"1")
        if s[0] and s[0].lower()==b"message" and s[1] and s[1].lower()==b"rfc822":
            numbers(s[8],prefix+"1.",True,out)
    return out
w=open(out,"wb")
bad=0
def put(key,val): w.write(key.encode()+b" "+(b"-" if val is None else b"="+base64.b64encode(val))+b"\n")
for i,(name,m) in enumerate(names,1):
    send(b"e FETCH %d (ENVELOPE BODY BODYSTRUCTURE)\r\n"%i)
    r=until(b"e")
    t=None
    raw=[l for l in r if b" FETCH (" in l[:40]]
    if not r[-1].startswith(b"e OK") or not raw: print(name,r[-1]); continue
    raw=raw[0]
    raw=raw[raw.index(b"(")+1:]
    w.write(b"M "+name.encode()+b"\n")
    put("raw",m)
    # split raw
    l=toks(b"("+raw)
    d=dict(zip(l[0::2],l[1::2]))
    pos_b=None
    a,b1,c=[raw.index(k) for k in (b"ENVELOPE ",b" BODY (",b" BODYSTRUCTURE (")]
    assert a<b1<c
    put("ENVELOPE",raw[9:b1]); put("BODY",raw[b1+6:c]); put("BODYSTRUCTURE",raw[c+15:].rstrip(b"\r\n")[:-1])
    nums=numbers(d["BODYSTRUCTURE"])
    if len(nums)>60: nums=nums[:30]+nums[-30:]
    items=["HEADER","TEXT"]
    for n in nums: items+=[n,n+".MIME",n+".HEADER",n+".TEXT"]
    items+=["99","1.99","1.1","1.1.1","1.1.HEADER","0.1"][:5]
    items=list(dict.fromkeys(items))
    for k in range(0,len(items),40):
        chunk=items[k:k+40]
        send(b"f FETCH %d (%s)\r\n"%(i," ".join("BODY.PEEK[%s]"%x for x in chunk).encode()))
        r=until(b"f")
        if not r[-1].startswith(b"f OK"):
            # one by one
            for x in chunk:
                send(b"g FETCH %d (BODY.PEEK[%s])\r\n"%(i,x.encode()))
                r=until(b"g")
                got=[l for l in r if b" FETCH (" in l[:40]]
                if r[-1].startswith(b"g OK") and got:
                    raw=got[0]; l=toks(raw[raw.index(b"("):]); put("BODY["+x+"]",l[1])
                else: put("ERR["+x+"]",r[-1])
            continue
        raw=[l for l in r if b" FETCH (" in l[:40]][0]
        l=toks(raw[raw.index(b"("):])
        for key,v in zip(l[0::2],l[1::2]): put(key,v)
    for n in nums[:40]:
        send(b"h FETCH %d (BINARY.PEEK[%s] BINARY.SIZE[%s])\r\n"%(i,n.encode(),n.encode()))
        try: r=until(b"h")
        except Closed:
            connect(); line(); send(b"a LOGIN bench bench\r\nd SELECT "+box+b"\r\n"); until(b"a"); until(b"d"); put("ERR-BINARY["+n+"]",b"closed"); continue
        got=[l for l in r if b" FETCH (" in l[:40] and b"BINARY" in l]
        if r[-1].startswith(b"h OK") and got:
            raw=got[0]; l=toks(raw[raw.index(b"("):])
            for key,v in zip(l[0::2],l[1::2]): put(key,v if v is None or isinstance(v,bytes) else v.encode())
        else: put("ERR-BINARY["+n+"]",r[-1])
print("done",len(names))
