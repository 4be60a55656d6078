//! JSON and HCL as one kind of tree, in which each value knows its place in the text.

use std::{ops::Range, slice};

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey, TraversalOperator},
    parser,
    structure::{Body, Structure},
    template::{Element, Template},
};
use serde_json::value::RawValue;

use crate::commands::findings::source::{Entries, Source};

/// Deeper values of a JSON file are not read: nothing that is judged is that deep, and reading is recursive.
const MOST_LEVELS: usize = 48;

#[derive(Debug)]
pub struct Node {
    /// What to mark in the text: the key of the value, or the value in a list.
    pub at: Range<usize>,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Text(String),
    /// A text of Terraform with parts that are computed.
    Template(Vec<Part>),
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
    /// As if the key were not there.
    Null,
    /// A number or a boolean.
    Scalar(String),
    /// An expression that only Terraform can compute.
    Unknown,
}

#[derive(Debug)]
pub enum Part {
    Text(String),
    /// A local value of the module, by its name.
    Local(String),
    Unknown,
}

impl Node {
    /// The value of a key; of a repeated key the last, which is what parsers take.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let node = self.entries().iter().rev().find(|(name, _)| name == key).map(|(_, node)| node);
        node.filter(|node| !matches!(node.value, Value::Null))
    }

    /// Every value of a key: Terraform repeats blocks, and writes them as a list in JSON.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &Self> {
        self.entries().iter().filter(move |(name, _)| name == key).flat_map(|(_, node)| node.items())
    }

    /// The items of a list; anything else is a list of one.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => slice::from_ref(self),
        }
    }

    /// Every key below a key, with its value: names of stacks, types of resources, labels of blocks.
    pub fn entries_of(&self, key: &str) -> impl Iterator<Item = (&str, &Self)> {
        self.all(key).flat_map(|node| node.entries().iter().map(|(name, node)| (name.as_str(), node)))
    }

    /// The keys of an object with their values; of anything else none.
    pub fn entries(&self) -> &[(String, Self)] {
        if let Value::Object(entries) = &self.value { entries } else { &[] }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        if let Value::Text(text) = &self.get(key)?.value { Some(text) } else { None }
    }
}

/// A JSON file. `text` makes the value of a text.
///
/// # Errors
/// What is wrong with it, and where.
pub fn json(source: &str, text: fn(String) -> Value) -> Result<Node, String> {
    let whole: &RawValue = serde_json::from_str(source).map_err(|error| format!("is not JSON: {error}"))?;
    Ok(json_node(Source(source), whole.get(), text, MOST_LEVELS))
}

fn json_node(source: Source<'_>, raw: &str, text: fn(String) -> Value, levels: usize) -> Node {
    let below = |raw: &RawValue| json_node(source, raw.get(), text, levels - 1);
    let value = match raw.as_bytes().first() {
        Some(b'{' | b'[') if levels == 0 => Value::Unknown,
        Some(b'{') => serde_json::from_str(raw).map_or(Value::Unknown, |Entries(entries)| {
            Value::Object(entries.into_iter().map(|(key, value)| (key, below(value))).collect())
        }),
        Some(b'[') => serde_json::from_str(raw)
            .map_or(Value::Unknown, |items: Vec<&RawValue>| Value::List(items.into_iter().map(below).collect())),
        Some(b'"') => serde_json::from_str(raw).map_or(Value::Unknown, text),
        Some(b'n') => Value::Null,
        _ => Value::Scalar(raw.to_owned()),
    };
    Node { at: source.mark_of(raw), value }
}

/// A file of Terraform.
///
/// # Errors
/// What is wrong with it, and where.
pub fn hcl(source: &str) -> Result<Node, String> {
    let body = parser::parse_body(source).map_err(|error| {
        let place = error.location();
        format!("is not HCL: {}, at line {} column {}", error.message(), place.line(), place.column())
    })?;
    Ok(Node { at: 0..0, value: of_body(&body) })
}

/// The value of a text in a JSON file of Terraform, which is a template.
pub fn template(text: String) -> Value {
    if !text.contains("${") && !text.contains("%{") {
        return Value::Text(text);
    }
    parser::parse_template(&text).map_or(Value::Unknown, |template| of_template(&template))
}

/// Blocks are objects, one below the other for the name and each label: as in the JSON that Terraform reads.
fn of_body(body: &Body) -> Value {
    let entry = |structure: &Structure| match structure {
        Structure::Attribute(attribute) => {
            let at = attribute.key.span().unwrap_or_default();
            (attribute.key.to_string(), Node { at, value: of_expression(&attribute.value) })
        }
        Structure::Block(block) => {
            let mut value = of_body(&block.body);
            for label in block.labels.iter().rev() {
                let at = label.span().unwrap_or_default();
                value = Value::Object(vec![(label.as_str().to_owned(), Node { at, value })]);
            }
            (block.ident.to_string(), Node { at: block.ident.span().unwrap_or_default(), value })
        }
    };
    Value::Object(body.iter().map(entry).collect())
}

fn of_expression(expression: &Expression) -> Value {
    match expression {
        Expression::Null(_) => Value::Null,
        Expression::Bool(value) => Value::Scalar(value.to_string()),
        Expression::Number(value) => Value::Scalar(value.to_string()),
        Expression::String(text) => Value::Text(text.as_str().to_owned()),
        Expression::StringTemplate(template) => of_template(template),
        Expression::HeredocTemplate(heredoc) => of_template(&heredoc.template),
        Expression::Parenthesis(inner) => of_expression(inner.inner()),
        Expression::Array(items) => {
            let item = |item: &Expression| Node { at: item.span().unwrap_or_default(), value: of_expression(item) };
            Value::List(items.iter().map(item).collect())
        }
        Expression::Object(object) => {
            let entry = |(key, value): (&ObjectKey, &hcl_edit::expr::ObjectValue)| {
                let name = match key {
                    ObjectKey::Ident(name) => name.to_string(),
                    ObjectKey::Expression(key) => key.as_str()?.to_owned(),
                };
                let value = of_expression(value.expr());
                Some((name, Node { at: key.span().unwrap_or_default(), value }))
            };
            Value::Object(object.iter().filter_map(entry).collect())
        }
        Expression::Traversal(_) => match of_part(expression) {
            Part::Unknown => Value::Unknown,
            part => Value::Template(vec![part]),
        },
        _ => Value::Unknown,
    }
}

fn of_template(template: &Template) -> Value {
    let part = |element: &Element| match element {
        Element::Literal(text) => Part::Text(text.to_string()),
        Element::Interpolation(interpolation) => of_part(&interpolation.expr),
        Element::Directive(_) => Part::Unknown,
    };
    Value::Template(template.iter().map(part).collect())
}

fn of_part(expression: &Expression) -> Part {
    let Expression::Traversal(traversal) = expression else { return Part::Unknown };
    match (traversal.expr.as_variable(), traversal.operators.as_slice()) {
        (Some(variable), [operator]) if variable.as_str() == "local" => match operator.value() {
            TraversalOperator::GetAttr(name) => Part::Local(name.to_string()),
            _ => Part::Unknown,
        },
        _ => Part::Unknown,
    }
}
