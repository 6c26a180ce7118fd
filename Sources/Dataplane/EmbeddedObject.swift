struct EmbeddedObject { let name: String; let base64: String }
